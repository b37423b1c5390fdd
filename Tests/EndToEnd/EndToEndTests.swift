// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

/// What the tools do with real guests under a real QEMU. One test after the other: each has QEMU use a core, and some
/// look at how far it has come.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct EndToEndTests {}

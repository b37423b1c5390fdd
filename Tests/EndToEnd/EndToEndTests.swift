// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

/// The tools with real guests under a real QEMU. The tests run one after the other: each has QEMU use a core, and some
/// observe its progress.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct EndToEndTests {}

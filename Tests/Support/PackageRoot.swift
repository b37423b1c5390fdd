// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

/// The folder of this package's manifest, without a slash at the end.
public let packageRoot = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

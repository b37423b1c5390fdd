// SPDX-License-Identifier: GPL-2.0-or-later

/// The version that the tools print for `--version` and write into recordings.
public enum ToolVersion {
    /// The version of this package.
    public static let current = "0.1.0"
}

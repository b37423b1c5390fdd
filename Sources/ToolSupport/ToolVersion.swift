// SPDX-License-Identifier: GPL-2.0-or-later

/// What the tools answer to `--version`, and what recordings keep of who made them.
public enum ToolVersion {
    public static let current = "0.1.0"
}

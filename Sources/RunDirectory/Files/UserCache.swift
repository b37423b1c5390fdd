// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The user's cache directory, by the XDG Base Directory Specification.
public enum UserCache {
    /// The path of a directory of these tools in it, which may not exist; nil if there is no cache directory.
    public static func directory(_ name: String) -> String? {
        func environment(_ name: String) -> String? {
            getenv(name).map { String(cString: $0) }.flatMap { $0.hasPrefix("/") ? $0 : nil }
        }
        let cache = environment("XDG_CACHE_HOME") ?? environment("HOME").map { "\($0)/.cache" }
        return cache.map { "\($0)/tt-analyze/\(name)" }
    }
}

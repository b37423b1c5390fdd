// SPDX-License-Identifier: GPL-2.0-or-later

/// The exit statuses that every tool of this project shares, after `diff` and `cmp`.
public enum ToolStatus: Int32, Error {
    /// The runs are the same, or the work is done.
    case done = 0
    /// The runs differ.
    case different = 1
    /// Something went wrong: usage, files, damage, nothing to compare.
    case trouble = 2
}

/// A reason to end with status 2 that is neither usage nor a file's fault.
public struct RuntimeError: Error, CustomStringConvertible {
    /// One sentence.
    public var description: String
    /// Makes an error.
    public init(_ description: String) { self.description = description }
}

// SPDX-License-Identifier: GPL-2.0-or-later

/// Something that a library found and that its caller should report beside the result: an assumption, a lack, damage.
///
/// Libraries return notices or pass them to a ``NoticeHandler``; executables print them on standard error.
public struct Notice: Sendable, Hashable {
    /// How much a notice takes away from the result.
    public enum Severity: Sendable, Hashable {
        /// The result is complete; the notice describes how it was made.
        case note
        /// The result may be incomplete or wrong in the part that the notice names.
        case warning
        /// A part of the input could not be used; the caller's exit status shows it.
        case error
    }

    /// How much the notice takes away from the result.
    public var severity: Severity
    /// One sentence without a final period. It names the file, and the offset where there is one.
    public var text: String

    /// Makes a notice.
    public init(_ severity: Severity, _ text: String) {
        self.severity = severity
        self.text = text
    }

    /// A notice of severity `note`.
    public static func note(_ text: String) -> Notice { Notice(.note, text) }
    /// A notice of severity `warning`.
    public static func warning(_ text: String) -> Notice { Notice(.warning, text) }
    /// A notice of severity `error`.
    public static func error(_ text: String) -> Notice { Notice(.error, text) }
}

/// Receives notices in the order in which they come up.
public typealias NoticeHandler = (Notice) -> Void

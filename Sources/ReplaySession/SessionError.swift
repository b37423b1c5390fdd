// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// Why a recording or a replay could not be started, watched or finished.
///
/// Each case carries its evidence; ``description`` says what was expected, what stood there, and what to do.
public enum SessionError: Error, Sendable, Equatable {
    /// A system call failed. `doing` continues "cannot …": "open", "create".
    case system(doing: String, path: String, code: Int32)
    /// Something that the run needs is not there.
    case missing(what: String, name: String, remedy: String)
    /// Something that QEMU's record and replay cannot do, or that a run of ours would not survive.
    case refused(what: String, why: String, remedy: String)
    /// The state directory is not in the state that was asked for.
    case stateDirectory(path: String, problem: String, remedy: String)
    /// A replay would not be a replay of this recording.
    case differs(directory: String, differences: [ManifestDifference])
    /// A manifest that cannot be read.
    case manifest(path: String, problem: String)
    /// QEMU ended before the guest ran, or could not be asked for its version.
    case qemu(problem: String, output: String)
}

extension SessionError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .system(let doing, let path, let code):
            return "cannot \(doing) \(path): \(SessionError.text(of: code))"
        case .missing(let what, let name, let remedy):
            return "no \(what) \(name): \(remedy)"
        case .refused(let what, let why, let remedy):
            return "\(what) refused: \(why); \(remedy)"
        case .stateDirectory(let path, let problem, let remedy):
            return "\(path): \(problem); \(remedy)"
        case .differs(let directory, let differences):
            let list = differences.map { "\n  \($0)" }.joined()
            return "\(directory): this would not be a replay of the recording:\(list)\n"
                + "Undo the change, or give --force to replay all the same and see where it parts."
        case .manifest(let path, let problem):
            return "\(path): \(problem)"
        case .qemu(let problem, let output):
            return output.isEmpty ? problem : "\(problem)\n\(output)"
        }
    }
}

extension SessionError {
    /// The C library's sentence for an errno.
    static func text(of code: Int32) -> String { String(cString: strerror(code)) }
}

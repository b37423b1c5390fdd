// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc

/// Why a recording or a replay could not be started, watched, finished or read.
///
/// Each case carries its evidence. ``description`` describes the problem; ``remedy`` is data, so that each tool can
/// spell it with its own options.
public enum RunError: Error, Sendable, Equatable {
    /// A system call failed. `doing` continues "cannot …": "open", "create".
    case system(doing: String, path: String, code: Int32)
    /// Something that the run needs is not there.
    case missing(what: String, name: String, remedy: Remedy)
    /// Something that the engine cannot record, or that a run would not survive.
    case refused(what: String, why: String, remedy: Remedy)
    /// The run directory is not in the state that the caller needs.
    case stateDirectory(path: String, problem: String, remedy: Remedy)
    /// A file that is not as required: no regular file, too large, damaged.
    case file(path: String, problem: String)
    /// The run would not be a replay of this recording.
    case differs(directory: String, differences: [ManifestDifference])
    /// A manifest that cannot be used.
    case manifest(path: String, problem: String)
    /// The engine's program ended before the guest ran, or did not answer. `output` contains its messages.
    case engine(problem: String, output: String)
}

extension RunError: CustomStringConvertible {
    /// The problem, without the remedy. Text from files is unchanged in it: escape it for a terminal.
    public var description: String {
        switch self {
        case .system(let doing, let path, let code):
            return "cannot \(doing) \(path): \(RunError.text(of: code))"
        case .missing(let what, let name, _):
            return name.isEmpty ? "no \(what)" : "no \(what) \(name)"
        case .refused(let what, let why, _):
            return "\(what) refused: \(why)"
        case .stateDirectory(let path, let problem, _), .file(let path, let problem), .manifest(let path, let problem):
            return "\(path): \(problem)"
        case .differs(let directory, let differences):
            let list = differences.map { "\n  \($0)" }.joined()
            return "\(directory): this run would not be a replay of the recording:\(list)"
        case .engine(let problem, let output):
            return output.isEmpty ? problem : "\(problem)\n\(output)"
        }
    }
}

extension RunError {
    /// The remedy; nil if there is no general one.
    public var remedy: Remedy? {
        switch self {
        case .missing(_, _, let remedy), .refused(_, _, let remedy), .stateDirectory(_, _, let remedy): remedy
        case .differs: .replayDifferently
        case .system, .file, .manifest, .engine: nil
        }
    }

    /// The C library's sentence for an errno.
    package static func text(of code: Int32) -> String { String(cString: strerror(code)) }
}

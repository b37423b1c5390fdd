// SPDX-License-Identifier: GPL-2.0-or-later

/// A possible step after a run. It is data: each tool spells it as a command line.
public struct NextStep: Codable, Sendable, Equatable {
    /// What to do with the directories.
    public enum Action: String, Codable, Sendable {
        /// Replay the recording in the one directory.
        case replay
        /// Compare the logs of the two directories: the recording's and the replay's.
        case compare
    }

    /// What to do.
    public var action: Action
    /// Run directories, or directories of replays.
    public var directories: [String]

    /// A step.
    public init(action: Action, directories: [String]) {
        self.action = action
        self.directories = directories
    }
}

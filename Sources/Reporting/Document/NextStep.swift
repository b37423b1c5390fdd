// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment

extension DivergenceDocument {
    /// Something that a reader of a report can do next, as data.
    ///
    /// A next step has no command line. An executable adds the command (``DivergenceDocument/spellCommands(_:)``).
    public struct NextStep: Codable, Hashable, Sendable {
        /// What to do.
        public enum Action: String, Codable, Hashable, Sendable, CaseIterable {
            /// List the branches around `brctr` of a log.
            case listBranches = "list-branches"
            /// List the events around `brctr` of a log: runs of Xen, whose logs have no branches.
            case listEvents = "list-events"
            /// Start a replay of the recording in `path` that is paused before the exit `brctr`: runs of Xen.
            case pauseReplay = "pause-replay"
            /// Start a replay of the recording in `path` that waits for a debugger.
            case replayForDebugger = "replay-for-debugger"
            /// Attach a debugger to that replay and stop at `address`.
            case attachDebugger = "attach-debugger"
        }

        /// What to do.
        public var action: Action
        /// The purpose of the step, in a few words.
        public var purpose: String
        /// The run that it is about; its symbol files name the addresses.
        public var side: Side
        /// The log or the run directory.
        public var path: String
        /// The clock, in the count of that run's log.
        public var brctr: Counter?
        /// The address of an instruction.
        public var address: HexWord?
        /// The command for a shell; nil until an executable has added it.
        public var command: String?
    }

    /// Fills in the command of each next step.
    ///
    /// - Parameter spell: returns the command line of a step, or nil if the executable has none for it.
    public mutating func spellCommands(_ spell: (NextStep) -> String?) {
        for index in commands.indices { commands[index].command = spell(commands[index]) }
    }
}

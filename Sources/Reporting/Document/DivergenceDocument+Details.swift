// SPDX-License-Identifier: GPL-2.0-or-later

// What a report in a file shows in addition to the output on a terminal.

extension DivergenceDocument {
    /// A setting of the two runs: `kernel`, `memory`, ….
    public struct SettingItem: Codable, Hashable, Sendable {
        /// The setting's name.
        public var name: String
        /// The original's value; nil if its manifest has none.
        public var original: String?
        /// The replay's value.
        public var replay: String?
        /// Whether the values differ; files differ by their contents.
        public var isDifferent: Bool
    }

    /// Both runs of a vCPU over the branch counter, from the chunk directories of the logs.
    public struct StripItem: Codable, Hashable, Sendable {
        /// The vCPU.
        public var vcpu: UInt16
        /// The first clock of either log.
        public var from: Counter
        /// The clock after the last one of either log.
        public var to: Counter
        /// The branches of a cell.
        public var cell: Counter
        /// The branch streams, in order and without overlap.
        public var branches: [Stretch]
        /// The streams of events and accesses, in order and without overlap.
        public var events: [Stretch]

        /// Cells in a row that have one state.
        public struct Stretch: Codable, Hashable, Sendable {
            /// The first clock.
            public var from: Counter
            /// The clock after the last one.
            public var to: Counter
            /// How the two logs relate here.
            public var state: State
            /// Records of the original.
            public var original: Counter
            /// Records of the replay.
            public var replay: Counter
        }

        /// How two logs relate in a cell.
        public enum State: String, Codable, Hashable, Sendable, CaseIterable {
            /// The digests agree.
            case equal
            /// The digests differ.
            case different
            /// Only the original has records here.
            case originalOnly = "original-only"
            /// Only the replay has records here.
            case replayOnly = "replay-only"
            /// The logs cover different parts of the cell, and no difference is known.
            case notCompared = "not-compared"
        }
    }

    /// The source lines of the function in which the runs part.
    public struct SourceListing: Codable, Hashable, Sendable {
        /// The file's name in the debug information.
        public var file: String
        /// The file that was read.
        public var path: String
        /// The function.
        public var function: String
        /// The lines, in order.
        public var lines: [Line]

        /// A line.
        public struct Line: Codable, Hashable, Sendable {
            /// The line's number, from 1.
            public var number: Int
            /// The line without its end; tabs are spaces, and a long line is cut.
            public var text: String
            /// Whether the original ran code of the line after the last common branch.
            public var original: Bool
            /// Whether the replay did.
            public var replay: Bool
            /// Whether the runs part in this line.
            public var isDivergence: Bool
        }
    }

    /// The calls of both runs in a window that begins at the divergence.
    public struct CallWindow: Codable, Hashable, Sendable {
        /// What is counted: `instructions` or `branches`.
        public var unit: String
        /// Branches of the original in the window.
        public var originalBranches: Counter
        /// Branches of the replay in the window.
        public var replayBranches: Counter
        /// The functions from the outermost open call to the common ancestor of all calls in the window.
        public var ancestors: [String]
        /// The common ancestor, with what it called.
        public var root: Node
        /// Whether small nodes were left out.
        public var isCut: Bool

        /// A function with its callers.
        public struct Node: Codable, Hashable, Sendable {
            /// The function's name, or its address.
            public var name: String
            /// The original's cost, that of the called functions included.
            public var original: Counter
            /// The replay's cost, that of the called functions included.
            public var replay: Counter
            /// The functions that it called, those with the largest cost first.
            public var children: [Node]
        }
    }

    /// The consoles of both runs.
    public struct ConsoleItem: Codable, Hashable, Sendable {
        /// Whether the place of the divergence in the output is known. If not, the part that both consoles have in common
        /// counts as the output before the divergence.
        public var isPositioned: Bool
        /// Bytes that the original wrote before the divergence.
        public var bytesBefore: Counter
        /// The last lines before the divergence, in both runs.
        public var before: [String]
        /// The next lines of the original; the first one can be the rest of a line.
        public var original: [String]
        /// The next lines of the replay.
        public var replay: [String]
        /// Bytes of the original's console.
        public var originalBytes: Counter
        /// Bytes of the replay's console.
        public var replayBytes: Counter
    }
}

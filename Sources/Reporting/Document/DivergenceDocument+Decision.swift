// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment

extension DivergenceDocument {
    /// The instruction that decided where the first branch that differs went, and where its data came from.
    public struct DecisionItem: Codable, Hashable, Sendable {
        /// The deciding instruction.
        public var instruction: DecisionStep
        /// The run that takes the branch there while the other goes straight on; nil if both take it.
        public var takenBy: Side?
        /// The instructions that made its data, the latest first.
        public var steps: [DecisionStep]
        /// Registers whose values are older than the code that was followed.
        public var registers: [String]
        /// The first instruction that was followed.
        public var since: HexWord
        /// How many instructions were followed.
        public var followed: Int

        enum CodingKeys: String, CodingKey {
            case instruction, steps, registers, since, followed
            case takenBy = "taken_by"
        }
    }

    /// An instruction that made data.
    public struct DecisionStep: Codable, Hashable, Sendable {
        /// The instruction's address.
        public var address: HexWord
        /// The symbol at `address`.
        public var symbol: String?
        /// The source position of `address`.
        public var source: String?
        /// Mnemonic and operands, in the GNU tools' syntax.
        public var text: String
        /// The registers of interest that it sets; `flags` for the arithmetic flags.
        public var sets: [String]
        /// The memory that it reads.
        public var loads: [LoadItem]
        /// Whether its result comes from outside the guest.
        public var isInput: Bool
        /// How often it ran in a row.
        public var count: Int

        enum CodingKeys: String, CodingKey {
            case address, symbol, source, text, sets, loads, count
            case isInput = "is_input"
        }
    }

    /// Memory that an instruction reads.
    public struct LoadItem: Codable, Hashable, Sendable {
        /// The operand, in the GNU tools' syntax.
        public var text: String
        /// The number of bytes.
        public var size: Int
        /// The address, if it is in the instruction.
        public var address: HexWord?
        /// The symbol at `address`.
        public var symbol: String?
    }
}

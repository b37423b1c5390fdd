// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import Formatting
import LogFormat
import MachineCode

/// The result of checking a log's branches against the code of files, as a part of a JSON document.
public struct InstructionCheckDocument: Codable, Sendable {
    /// A stretch that contradicts the files.
    public struct Contradiction: Codable, Sendable {
        /// Number of the vCPU.
        public var vcpu: UInt16
        /// Branch counter.
        public var brctr: String
        /// First instruction of the stretch.
        public var begin: String
        /// Instruction that branched.
        public var end: String
        /// Target of the branch.
        public var to: String
        /// Class of the branch in the log.
        public var label: String
        /// Name of the contradiction.
        public var reason: String
        /// Address at which decoding stopped.
        public var stop: String
        /// Instructions that were decoded.
        public var instructions: String
        /// Instructions that began, by the log's counts.
        public var begun: String?
    }

    /// Stretches between branches.
    public var stretches: String
    /// Stretches in the files' code.
    public var checked: String
    /// Stretches that decode, with the number of instructions that began.
    public var equal: String
    /// Stretches explained by repeated string instructions.
    public var repeated: String
    /// Further iterations of these.
    public var iterations: String
    /// Stretches explained by places that the kernel changes.
    public var patched: String
    /// Those with one instruction at each place.
    public var patchedExactly: String
    /// Stretches that end with an instruction that the recorder did not see.
    public var unseen: String
    /// Stretches that decode, without instruction counts.
    public var uncounted: String
    /// Stretches that contradict the files.
    public var unexplained: String
    /// The number of distinct instructions at which the files contradict, up to the limit of kept ones.
    public var places: String
    /// Contradictions by reason.
    public var reasons: [String: String]
    /// The first contradictions.
    public var contradictions: [Contradiction]
    /// Stretches that an interrupt, an exception or a fault ended.
    public var discontinued: String
    /// Stretches that begin with an instruction that was interrupted.
    public var restarted: String
    /// Stretches where no file has code.
    public var outside: String
    /// Instructions of these.
    public var outsideInstructions: String
    /// Stretches whose beginning is not known.
    public var withoutBeginning: String
    /// Instructions that were decoded.
    public var instructions: String
    /// Stretches by code size in bits.
    public var modes: [String: String]
    /// The match of each file.
    public var files: [File]

    /// A file and its match.
    public struct File: Codable, Sendable {
        /// Path of the file.
        public var path: String
        /// Places that were compared.
        public var places: String
        /// Places that fit.
        public var fitting: String
        /// Whether the file belongs to the log.
        public var belongs: Bool
    }

    /// Describes the result.
    public init(_ check: InstructionCheck, _ matches: [CodeMatch]) {
        files = matches.map {
            File(
                path: $0.path, places: String($0.places), fitting: String($0.fitting), belongs: $0.belongs)
        }
        stretches = String(check.stretches)
        checked = String(check.checked)
        equal = String(check.equal)
        repeated = String(check.repeated)
        iterations = String(check.iterations)
        patched = String(check.patched)
        patchedExactly = String(check.patchedExactly)
        unseen = String(check.unseen)
        uncounted = String(check.uncounted)
        unexplained = String(check.unexplained)
        places = String(check.places.count)
        reasons = Dictionary(uniqueKeysWithValues: check.contradicted.map { ($0.key.name, String($0.value)) })
        contradictions = check.contradictions.map {
            Contradiction(
                vcpu: $0.vcpu, brctr: String($0.branch.clock), begin: RowText.hex($0.stretch.begin),
                end: RowText.hex($0.stretch.end), to: RowText.hex($0.branch.to), label: $0.branch.label.name,
                reason: $0.reason.name, stop: RowText.hex($0.stretch.stop), instructions: String($0.stretch.count),
                begun: $0.begun.map { String($0) })
        }
        discontinued = String(check.discontinued)
        restarted = String(check.restarted)
        outside = String(check.outside)
        outsideInstructions = String(check.outsideInstructions)
        withoutBeginning = String(check.withoutBeginning)
        instructions = String(check.instructions)
        modes = Dictionary(uniqueKeysWithValues: check.modes.map { (String($0.key.rawValue), String($0.value)) })
    }
}

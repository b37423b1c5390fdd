// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import MachineCode

extension HashTable {
    /// Adds a slot whose key is not in the table. A full table is emptied first: memory stays bounded for any log, and
    /// stretches that are needed again are decoded again.
    mutating func insertRestarting(_ slot: Slot) {
        if insert(slot) { return }
        removeAll()
        insert(slot)
    }
}

/// Decoded stretches, found by where they begin and end and how they are read.
typealias StretchTable = HashTable<StretchSlot>

/// A stretch of a ``StretchTable``: one that is not outside of all files.
struct StretchSlot: HashSlot {
    struct Key: BitwiseCopyable {
        var begin: UInt64
        var end: UInt64
        var mode: CodeMode
        var modeAfterFar: CodeMode
    }

    var stretch: Stretch

    static let free = StretchSlot(
        stretch: Stretch(begin: 0, end: 0, mode: .bits64, afterFar: .bits64, outcome: .outside))
    var isFree: Bool { stretch.outcome == .outside }

    func holds(_ key: Key) -> Bool {
        stretch.begin == key.begin && stretch.end == key.end && stretch.mode == key.mode
            && stretch.modeAfterFar == key.modeAfterFar
    }

    func hash(_ seeds: HashSeeds) -> UInt64 { seeds.mix(stretch.begin, stretch.end) }
    static func hash(_ key: Key, _ seeds: HashSeeds) -> UInt64 { seeds.mix(key.begin, key.end) }
}

/// Decoded instructions, found by their address and how they are read.
typealias InstructionTable = HashTable<InstructionSlot>

/// An instruction of an ``InstructionTable``.
struct InstructionSlot: HashSlot {
    struct Key: BitwiseCopyable {
        var address: UInt64
        var mode: CodeMode
    }

    var instruction: Instruction

    static let free = InstructionSlot(instruction: .none)
    var isFree: Bool { instruction.size == 0 }

    func holds(_ key: Key) -> Bool { instruction.address == key.address && instruction.mode == key.mode }
    func hash(_ seeds: HashSeeds) -> UInt64 { seeds.mix(instruction.address) }
    static func hash(_ key: Key, _ seeds: HashSeeds) -> UInt64 { seeds.mix(key.address) }
}

// SPDX-License-Identifier: GPL-2.0-or-later

/// The branch stack of a sample, as `perf script -F +brstack` prints it: the newest branch first,
///
///     0xFROM/0xTO/P/-/-/CYCLES[/TYPE[/SPECULATION]]  0xFROM(dso)/0xTO(dso)/…
///
/// An entry that was not taken (`N` in its first field) is no transition and is left out.
struct PerfStack {
    /// The branches, the newest first.
    private(set) var branches: [RawBranch] = []
    /// Whether an entry states its type.
    private(set) var hasTypes = false

    /// The index of the first entry; nil if the line has none.
    static func start(_ start: UnsafePointer<UInt8>, _ count: Int, from first: Int) -> Int? {
        var index = first
        while index &+ 4 < count {
            if start[index] == 0x30, start[index &+ 1] == 0x78, index == 0 || start[index &- 1] == 0x20,
                entry(start + index, count &- index) != nil
            {
                return index
            }
            index &+= 1
        }
        return nil
    }

    /// Reads all entries. Returns false if the text holds anything else.
    mutating func parse(_ text: UnsafeRawBufferPointer) -> Bool {
        branches.removeAll(keepingCapacity: true)
        hasTypes = false
        guard let start = text.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
        var index = 0
        while true {
            while index < text.count, start[index] == 0x20 { index &+= 1 }
            guard index < text.count else { return true }
            guard let entry = PerfStack.entry(start + index, text.count &- index) else { return false }
            index &+= entry.length
            if entry.isTaken {
                hasTypes = hasTypes || entry.label != nil
                branches.append(
                    RawBranch(from: entry.from, to: entry.to, label: entry.label ?? BranchLabel(.unknown)))
            }
        }
    }

    /// The bytes of a file's name at most: reading stays linear in the length of the line.
    private static let pathLimit = 512

    private struct Entry {
        var from: UInt64
        var to: UInt64
        var label: BranchLabel?
        var isTaken = true
        var length: Int
    }

    private static func entry(_ start: UnsafePointer<UInt8>, _ count: Int) -> Entry? {
        var index = 0
        guard let from = address(start, count, &index), index < count, start[index] == 0x2f else { return nil }
        index &+= 1
        guard let to = address(start, count, &index) else { return nil }
        var entry = Entry(from: from, to: to, length: index)
        var field = 0
        while index < count, start[index] == 0x2f {
            index &+= 1
            let first = index
            while index < count, start[index] != 0x2f, start[index] != 0x20 { index &+= 1 }
            let text = UnsafeRawBufferPointer(start: start + first, count: index &- first)
            // Predicted, in a transaction, aborted, cycles, type, speculation.
            if field == 0 { entry.isTaken = !text.contains(0x4e) }
            if field == 4 { entry.label = BranchLabel(perfType: text) }
            field &+= 1
        }
        guard field >= 1, index == count || start[index] == 0x20 else { return nil }
        entry.length = index
        return entry
    }

    /// `0xADDRESS` and, after it, `(dso)`.
    private static func address(_ start: UnsafePointer<UInt8>, _ count: Int, _ index: inout Int) -> UInt64? {
        guard index &+ 2 < count, start[index] == 0x30, start[index &+ 1] == 0x78,
            let (value, digits) = TextNumber.hexadecimal(start + (index &+ 2), count &- index &- 2)
        else { return nil }
        index &+= 2 &+ digits
        if index < count, start[index] == 0x28 {
            let end = min(count, index &+ pathLimit)
            while index < end, start[index] != 0x29 { index &+= 1 }
            guard index < end else { return nil }
            index &+= 1
        }
        return value
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later

/// The stacks that are not current, each with its frames in its own memory. The most recently used one is found first.
///
/// Bounded: `stackLimit` stacks and `frameLimit` frames in total. The least recently used stack is dropped first.
struct StackTable: ~Copyable {
    struct Slot {
        var id: UInt32
        var frames: UnsafeMutablePointer<CallFrame>
        var count: Int
        var capacity: Int
    }

    static let stackLimit = 512
    /// A frame has 48 bytes.
    static let frameLimit = 1 << 20

    /// The most recently used stack is the last one.
    private(set) var slots: [Slot] = []
    private var frameCount = 0

    init() {}

    init(copying other: borrowing StackTable) {
        frameCount = other.frameCount
        slots = other.slots.map { slot in
            var copy = slot
            copy.frames = .allocate(capacity: slot.capacity)
            copy.frames.initialize(from: slot.frames, count: slot.count)
            return copy
        }
    }

    deinit {
        for slot in slots { slot.frames.deallocate() }
    }

    mutating func add(_ slot: Slot) {
        slots.append(slot)
        frameCount += slot.capacity
        while slots.count > 1, slots.count > StackTable.stackLimit || frameCount > StackTable.frameLimit {
            let oldest = slots.removeFirst()
            frameCount -= oldest.capacity
            oldest.frames.deallocate()
        }
    }

    mutating func take(at index: Int) -> Slot {
        let slot = slots.remove(at: index)
        frameCount -= slot.capacity
        return slot
    }

    mutating func removeAll() {
        for slot in slots { slot.frames.deallocate() }
        slots = []
        frameCount = 0
    }
}

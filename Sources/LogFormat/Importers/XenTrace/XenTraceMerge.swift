// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads the records of all processors of a file of `xentrace` in the order of their time stamps.
///
/// The file is a sequence of windows: a record `cpuChange` {processor, bytes}, and so many bytes of that processor's
/// buffer. The records of one processor are in order; windows of different processors overlap in time. Each processor has
/// a reader of its own; the one with the lowest time stamp is next.
struct XenTraceMerge: ~Copyable {
    /// The record that was read last.
    private(set) var record = XenTraceRecord()
    /// The damage so far.
    private(set) var damage = DamageList()

    private let file: InputFile
    private let fileSize: UInt64
    private var processors: [Processor] = []

    /// The number of processors at most.
    private static let processorLimit = 256
    /// The number of windows at most: each takes 16 bytes of memory.
    private static let windowLimit = 1 << 22

    /// One processor's windows and the next of its records.
    private final class Processor {
        let number: UInt32
        var windows: [Range<UInt64>] = []
        private var window = 0
        private var reader: FileWindow
        private var place: UInt64 = 0
        var next = XenTraceRecord()

        init(_ number: UInt32, _ file: InputFile) {
            self.number = number
            reader = FileWindow(file, size: 1 << 16)
        }

        /// Reads the next record. Returns false at the end, and the damage of the window that ended.
        func advance() -> (isRead: Bool, damage: Damage?) {
            while window < windows.count {
                let range = windows[window]
                if place < range.lowerBound { place = range.lowerBound }
                let left = range.upperBound &- place
                if left > 0 {
                    let count = Int(min(left, UInt64(XenTraceRecord.sizeLimit)))
                    let bytes = reader.bytes(at: place, count: count)
                    if next.read(bytes) {
                        next.cpu = number
                        next.offset = place
                        place &+= UInt64(next.size)
                        return (true, nil)
                    }
                    window += 1
                    let damage = Damage(
                        file: reader.file.path, offset: place, length: left,
                        what: .truncated(structure: .record, expected: UInt64(next.size), present: left), lostRecords: 1
                    )
                    return (false, reader.failure ?? damage)
                }
                window += 1
            }
            return (false, nil)
        }

        var isAtEnd: Bool { window >= windows.count }
    }

    init(_ file: InputFile) {
        self.file = file
        fileSize = file.size
        findWindows()
        var index = 0
        while index < processors.count {
            if advance(processors[index]) { index += 1 } else { processors.remove(at: index) }
        }
    }

    /// Reads the next record of all; false at the end.
    mutating func next() -> Bool {
        guard var first = processors.indices.first else { return false }
        for index in processors.indices.dropFirst() where processors[index].next.tsc < processors[first].next.tsc {
            first = index
        }
        record = processors[first].next
        if !advance(processors[first]) { processors.remove(at: first) }
        return true
    }

    private mutating func advance(_ processor: Processor) -> Bool {
        while true {
            let (isRead, problem) = processor.advance()
            if let problem { damage.add(problem) }
            if isRead { return true }
            if processor.isAtEnd { return false }
        }
    }

    /// Finds the windows of all processors. Bytes between windows are damage up to the next record of a change.
    private mutating func findWindows() {
        var reader = FileWindow(file, size: 1 << 12)
        var place: UInt64 = 0
        var count = 0
        while place < fileSize, count < XenTraceMerge.windowLimit {
            let bytes = reader.bytes(at: place, count: 12)
            guard bytes.count == 12, bytes.loadUnaligned(as: UInt32.self) == XenTraceRecord.cpuChangeHeader else {
                place = skip(from: place, &reader)
                continue
            }
            let number = bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
            let size = UInt64(bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
            let start = place &+ 12
            let end = min(start &+ size, fileSize)
            if end &- start < size {
                damage.add(
                    Damage(
                        file: file.path, offset: start, length: end &- start,
                        what: .truncated(structure: .record, expected: size, present: end &- start)))
            }
            if let processor = processor(number) {
                if start < end { processor.windows.append(start..<end) }
            } else {
                damage.add(
                    Damage(
                        file: file.path, offset: place, length: 12,
                        what: .field(structure: .record, name: "processor", found: UInt64(number))))
            }
            count += 1
            place = end
        }
        if place < fileSize {
            damage.add(Damage(file: file.path, offset: place, length: fileSize &- place, what: .unreadable))
        }
    }

    private mutating func processor(_ number: UInt32) -> Processor? {
        if let known = processors.first(where: { $0.number == number }) { return known }
        guard processors.count < XenTraceMerge.processorLimit else { return nil }
        let processor = Processor(number, file)
        processors.append(processor)
        return processor
    }

    /// Searches the next change of processor after bytes that belong to no window, word by word, and reports them.
    private mutating func skip(from start: UInt64, _ reader: inout FileWindow) -> UInt64 {
        var place = start &+ 4
        while place < fileSize {
            let bytes = reader.bytes(at: place, count: 4096)
            if bytes.count < 4 {
                place = fileSize
                break
            }
            var index = 0
            while index &+ 4 <= bytes.count {
                if bytes.loadUnaligned(fromByteOffset: index, as: UInt32.self) == XenTraceRecord.cpuChangeHeader {
                    break
                }
                index &+= 4
            }
            place &+= UInt64(index)
            if index &+ 4 <= bytes.count { break }
        }
        damage.add(Damage(file: file.path, offset: start, length: min(place, fileSize) &- start, what: .unreadable))
        return min(place, fileSize)
    }
}

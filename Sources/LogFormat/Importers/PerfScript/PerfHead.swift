// SPDX-License-Identifier: GPL-2.0-or-later

/// The fields of a line of `perf script` before its flags: program, thread, processor, time, period, event.
///
/// All are optional. The name of a program may contain spaces, digits and colons: of several texts that can be a thread,
/// the last one before the processor or the time is taken.
struct PerfHead {
    /// The index after the last field.
    private(set) var end = 0
    /// Whether a word ends with a colon, as events do, and whether the event is `branches`.
    private(set) var hasColon = false
    private(set) var isBranches = false
    /// Whether the line is a record of perf's own (`PERF_RECORD_…`), and whether it reports lost records.
    private(set) var isRecord = false
    private(set) var isLost = false
    /// The part of the line up to the thread.
    private(set) var title = 0..<0

    private var thread: UInt64?
    private var hasSlash = false
    private var processor: UInt64?
    private var hasTime = false
    private var isEvent = false

    /// The key of the thread or the processor; see ``PerfLine/lane``. A plain number is a thread only if a processor, a
    /// time or an event follows it: otherwise it can be an address.
    var lane: UInt64 {
        if let thread, hasSlash || processor != nil || hasTime || isEvent {
            guard thread == 0, let processor else { return thread &+ 1 }
            return PerfLine.isIdle | processor
        }
        return processor.map { PerfLine.isProcessor | $0 } ?? 0
    }

    /// Reads the fields from the left, up to the event; without one, up to the last field that can be recognised.
    init(_ start: UnsafePointer<UInt8>, _ count: Int) {
        var index = 0
        while index < count {
            while index < count, start[index] == 0x20 { index &+= 1 }
            let first = index
            while index < count, start[index] != 0x20 { index &+= 1 }
            if index == first || take(start, first, index) { break }
        }
        if end == 0, hasSlash { end = title.upperBound }
    }

    /// Takes a word. Returns true after the event.
    @inline(__always)
    private mutating func take(_ start: UnsafePointer<UInt8>, _ first: Int, _ end: Int) -> Bool {
        let byte = start[first]
        let last = start[end &- 1]
        if TextNumber.isDigit(byte) || byte == 0x2d {
            hasColon = hasColon || last == 0x3a
            if last == 0x3a { takeTime(start, first, end) } else { takeThread(start, first, end) }
            return false
        }
        if byte == 0x5b { takeProcessor(start, first, end) }
        if byte == 0x3d, end &- first == 2, start[first &+ 1] == 0x3e { return true }
        if byte == 0x50, (start + first).begins(with: "PERF_RECORD_", end &- first) {
            isRecord = true
            isLost = (start + first).begins(with: "PERF_RECORD_LOST", end &- first)
            return true
        }
        guard last == 0x3a else { return false }
        hasColon = true
        isBranches = (start + first).begins(with: "branches", end &- first)
        // A program's name may end with a colon; the event comes after the time, or is `branches`.
        guard isBranches || hasTime else { return false }
        isEvent = true
        self.end = end
        return true
    }

    /// `seconds.fraction:`
    @inline(__always)
    private mutating func takeTime(_ start: UnsafePointer<UInt8>, _ first: Int, _ end: Int) {
        var dots = 0
        for index in first..<end &- 1 {
            if start[index] == 0x2e { dots &+= 1 } else if !TextNumber.isDigit(start[index]) { return }
        }
        guard dots == 1 else { return }
        hasTime = true
        self.end = end
    }

    /// `pid/tid`, `tid`; -1 is an unknown one.
    @inline(__always)
    private mutating func takeThread(_ start: UnsafePointer<UInt8>, _ first: Int, _ end: Int) {
        guard !hasTime, processor == nil else { return }
        var index = first
        var value: UInt64?
        var slash = false
        while index < end {
            let isNegative = start[index] == 0x2d
            if isNegative { index &+= 1 }
            guard let (number, digits) = TextNumber.decimal(start + index, end &- index), digits <= 10 else { return }
            value = isNegative ? nil : number
            index &+= digits
            guard index < end else { break }
            guard start[index] == 0x2f, !slash, index &+ 1 < end else { return }
            slash = true
            index &+= 1
        }
        // A plain number after pid/tid is the period.
        if hasSlash, !slash { return }
        hasSlash = slash
        thread = value
        title = 0..<end
    }

    /// `[cpu]`
    @inline(__always)
    private mutating func takeProcessor(_ start: UnsafePointer<UInt8>, _ first: Int, _ end: Int) {
        guard let (number, digits) = TextNumber.decimal(start + (first &+ 1), end &- first &- 1), digits < 8,
            first &+ digits &+ 2 == end, start[end &- 1] == 0x5d
        else { return }
        processor = number
        if title.isEmpty { title = first..<end }
        self.end = end
    }

    // MARK: - Errors of the decoder

    /// Whether the line is `instruction trace error type … cpu … pid … tid … ip … code …: text`.
    static func isTraceError(_ start: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        var first = 0
        while first < count, start[first] == 0x20 { first += 1 }
        return (start + first).begins(with: "instruction trace error", count - first)
    }

    /// The thread of such a line as a key; 0 if it is not stated: then all threads have the gap.
    static func errorLane(_ start: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
        func number(after word: StaticString) -> UInt64? {
            var index = 0
            while index < count {
                if (start + index).begins(with: word, count - index) {
                    let place = index + word.utf8CodeUnitCount
                    return TextNumber.decimal(start + place, count - place)?.value
                }
                index += 1
            }
            return nil
        }
        guard let thread = number(after: " tid "), thread <= UInt64(UInt32.max) else { return 0 }
        guard thread == 0 else { return thread &+ 1 }
        return number(after: " cpu ").flatMap { $0 < 1 << 32 ? PerfLine.isIdle | $0 : nil } ?? 0
    }
}

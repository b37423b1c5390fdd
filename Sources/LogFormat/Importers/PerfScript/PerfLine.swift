// SPDX-License-Identifier: GPL-2.0-or-later

/// A line that `perf script` prints, as far as branches need it.
///
///     comm  pid/tid [cpu] seconds.nanoseconds:  period branches:uH:  flags  ip sym+off (dso) => addr sym+off (dso)
///
/// Which fields there are depends on `perf script -F`. A branch needs `ip` and `addr`, or a branch stack; all others may
/// be missing. Source: perf-script(1), perf-intel-pt(1), the output of perf 6.1.
struct PerfLine {
    /// What a line is.
    enum Kind {
        /// A branch, or one end of a trace.
        case branch
        /// A sample with a branch stack (``PerfStack``), which begins at this index of the line.
        case stack(at: Int)
        /// The trace has a gap here: records were lost or could not be decoded.
        case gap
        /// Something else that perf prints: another event, a mapping, a comment.
        case other
        /// A branch that cannot be read.
        case damaged(StaticString)
    }

    /// The address of the branch instruction; 0 where the trace begins.
    var from: UInt64 = 0
    /// The address of the next instruction; 0 where the trace ends.
    var to: UInt64 = 0
    /// The words of the field `flags`.
    var flags = PerfFlags()
    /// The thread or the processor, as a key; 0 if the line states neither.
    var lane: UInt64 = 0
    /// The part of the line that names the program and the thread.
    var title = 0..<0

    /// Bits of ``lane``: a processor, or the idle thread of one.
    static let isProcessor: UInt64 = 1 << 62
    static let isIdle: UInt64 = 1 << 63

    /// Reads a line.
    mutating func parse(_ line: UnsafeRawBufferPointer) -> Kind {
        guard let start = line.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return .other }
        let count = line.count
        self = PerfLine()
        let head = PerfHead(start, count)
        lane = head.lane
        title = head.title
        if head.isRecord {
            // The records were lost in a processor's buffer: any thread can have made them.
            lane = 0
            return head.isLost ? .gap : .other
        }
        if head.end == 0, PerfHead.isTraceError(start, count) {
            lane = PerfHead.errorLane(start, count)
            return .gap
        }
        guard let arrow = PerfLine.arrow(start, count, from: head.end) else {
            if let stack = PerfStack.start(start, count, from: head.end) { return .stack(at: stack) }
            if head.isBranches { return .damaged("a branch without `=> addr`: print it with `perf script -F +addr`") }
            return head.hasColon || PerfLine.isQuiet(start, count) ? .other : .damaged("not a line of perf script")
        }
        guard let (addr, _) = PerfLine.address(start + arrow, count - arrow) else {
            return .damaged("a target address expected after `=>`")
        }
        to = addr
        var place = head.end
        while true {
            while place < arrow, start[place] == 0x20 { place &+= 1 }
            let length = flags.take(start + place, arrow &- place)
            if length == 0 { break }
            place &+= length
        }
        guard let address = PerfLine.origin(start + place, arrow &- 2 &- place, isAfterHead: head.end > 0) else {
            return .damaged("one address expected before `=>`; `perf script -F +event` separates it from other fields")
        }
        from = address
        return .branch
    }

    /// The index after the `=>` that an address follows.
    @inline(__always)
    private static func arrow(_ start: UnsafePointer<UInt8>, _ count: Int, from first: Int) -> Int? {
        var index = first &+ 1
        var fallback: Int?
        while index < count {
            if start[index] == 0x3e, start[index &- 1] == 0x3d, index &+ 1 == count || start[index &+ 1] == 0x20 {
                if address(start + (index &+ 1), count &- index &- 1) != nil { return index &+ 1 }
                fallback = fallback ?? index &+ 1
            }
            index &+= 1
        }
        return fallback
    }

    /// The address at the beginning, after spaces, and its digits; it ends with a space, a tab or the line.
    @inline(__always)
    private static func address(_ start: UnsafePointer<UInt8>, _ count: Int) -> (value: UInt64, digits: Int)? {
        var index = 0
        while index < count, start[index] == 0x20 { index &+= 1 }
        if index &+ 2 < count, start[index] == 0x30, start[index &+ 1] == 0x78 { index &+= 2 }
        guard let (value, digits) = TextNumber.hexadecimal(start + index, count &- index) else { return nil }
        let end = index &+ digits
        guard end >= count || start[end] == 0x20 || start[end] == 0x09 else { return nil }
        return (value, digits)
    }

    /// The address of the branch instruction in the text after the flags.
    ///
    /// It comes first, except with `-F callindent`: then the name of the called function comes before it, and may contain
    /// spaces. Two numbers are ambiguous where no field comes before them: the first one can be a thread. The letters that
    /// perf before 4.10 prints as flags can look like a short number.
    @inline(__always)
    private static func origin(_ start: UnsafePointer<UInt8>, _ count: Int, isAfterHead: Bool) -> UInt64? {
        var first = 0
        while first < count, start[first] == 0x20 { first &+= 1 }
        if let (value, digits) = address(start + first, count &- first) {
            if isAfterHead, digits > 2 || value == 0 { return value }
            return address(start + (first &+ digits), count &- first &- digits) == nil ? value : nil
        }
        var index = first &+ 1
        while index < count {
            if start[index &- 1] == 0x20, start[index] != 0x20,
                let (value, digits) = address(start + index, count - index),
                digits >= 4 || value == 0
            {
                return value
            }
            index &+= 1
        }
        return nil
    }

    /// Whether a line without an event is a comment, empty, or one of a call chain.
    private static func isQuiet(_ start: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        count == 0 || start[0] == 0x23 || start[0] == 0x09 || (0..<count).allSatisfy { start[$0] == 0x20 }
    }
}

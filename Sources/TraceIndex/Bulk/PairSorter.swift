// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Sorts pairs of a key and a row, in bounded memory: sorted runs go to a temporary file, and are merged.
///
/// What the entries of an index are made from: keys have the order of SQLite's integers, equal keys that of their rows.
struct PairSorter: ~Copyable {
    /// An entry of an index.
    struct Pair: BitwiseCopyable, Comparable {
        var key: Int64
        var row: Int64

        static func < (a: Pair, b: Pair) -> Bool { a.key != b.key ? a.key < b.key : a.row < b.row }
    }

    private let target: String
    private var pairs: UnsafeMutablePointer<Pair>
    private var scratch: UnsafeMutablePointer<Pair>
    private var count = 0
    private var file: TemporaryFile?
    private var runs: [Range<Int>] = []

    /// Pairs of a run: 4 MB.
    static let runSize = 1 << 18

    /// - Parameter target: the file that the index will be in; runs go to temporary files beside it.
    init(target: String) {
        self.target = target
        pairs = .allocate(capacity: PairSorter.runSize)
        scratch = .allocate(capacity: PairSorter.runSize)
    }

    deinit {
        pairs.deallocate()
        scratch.deallocate()
    }

    mutating func add(_ key: Int64, row: Int64) throws(IndexError) {
        if count == PairSorter.runSize { try spill() }
        pairs[count] = Pair(key: key, row: row)
        count += 1
    }

    /// Calls `body` with all pairs in their order.
    mutating func visit(_ body: (Pair) throws(IndexError) -> Void) throws(IndexError) {
        guard !runs.isEmpty else {
            sort()
            for index in 0..<count { try body(pairs[index]) }
            return
        }
        try spill()
        guard let file else { return }
        // All runs together have the memory of one.
        let share = max(1024, PairSorter.runSize / runs.count)
        var merge = RunMerge()
        for run in runs { try merge.add(RunReader(file, run, bufferSize: share)) }
        while let pair = merge.first {
            try body(pair)
            try merge.advance()
        }
    }

    /// Writes the pairs as a sorted run.
    private mutating func spill() throws(IndexError) {
        sort()
        let file: TemporaryFile
        if let own = self.file { file = own } else { file = try TemporaryFile(for: target) }
        self.file = file
        let start = runs.last?.upperBound ?? 0
        let size = MemoryLayout<Pair>.stride
        try file.write(UnsafeRawBufferPointer(start: pairs, count: count * size), at: start * size)
        runs.append(start..<start + count)
        count = 0
    }

    /// Sorts by digits of a byte, the lowest first; a digit that all pairs share costs nothing.
    private mutating func sort() {
        var isSorted = true
        var rowsAscend = true
        var (keyBits, rowBits): (UInt64, UInt64) = (0, 0)
        for index in stride(from: 1, to: count, by: 1) {
            let (last, pair) = (pairs[index - 1], pairs[index])
            if pair < last { isSorted = false }
            if pair.row < last.row { rowsAscend = false }
            keyBits |= UInt64(bitPattern: pair.key ^ last.key)
            rowBits |= UInt64(bitPattern: pair.row ^ last.row)
        }
        if isSorted { return }
        if !rowsAscend {
            for shift in stride(from: UInt64(0), to: 64, by: 8) where rowBits >> shift & 0xff != 0 {
                distribute { UInt64(bitPattern: $0.row) >> shift & 0xff }
            }
        }
        for shift in stride(from: UInt64(0), to: 64, by: 8) where keyBits >> shift & 0xff != 0 {
            // The sign: negative keys come first.
            distribute { (UInt64(bitPattern: $0.key) ^ 1 << 63) >> shift & 0xff }
        }
    }

    /// Moves the pairs into the order of a digit; those with the same digit keep theirs.
    @inline(__always)
    private mutating func distribute(_ digit: (Pair) -> UInt64) {
        withUnsafeTemporaryAllocation(of: Int.self, capacity: 256) { places in
            places.update(repeating: 0)
            for index in 0..<count { places[Int(digit(pairs[index]))] += 1 }
            var sum = 0
            for value in 0..<256 { (places[value], sum) = (sum, sum + places[value]) }
            for index in 0..<count {
                let value = Int(digit(pairs[index]))
                scratch[places[value]] = pairs[index]
                places[value] += 1
            }
        }
        swap(&pairs, &scratch)
    }
}

/// The pairs of a sorted run in a file.
struct RunReader {
    private let file: TemporaryFile
    private var rest: Range<Int>
    private var buffer: [PairSorter.Pair] = []
    private var place = 0
    private let bufferSize: Int

    /// - Parameter run: where the pairs are; at least one.
    init(_ file: TemporaryFile, _ run: Range<Int>, bufferSize: Int) throws(IndexError) {
        self.file = file
        self.bufferSize = bufferSize
        rest = run
        try fill()
    }

    /// The next pair; nil after the last.
    var first: PairSorter.Pair? { place < buffer.count ? buffer[place] : nil }

    mutating func advance() throws(IndexError) {
        place += 1
        if place == buffer.count { try fill() }
    }

    private mutating func fill() throws(IndexError) {
        let part = rest.prefix(bufferSize)
        let size = MemoryLayout<PairSorter.Pair>.stride
        if buffer.count != part.count { buffer = Array(repeating: .init(key: 0, row: 0), count: part.count) }
        place = 0
        rest = part.upperBound..<rest.upperBound
        var error: IndexError?
        buffer.withUnsafeMutableBytes { bytes in
            do throws(IndexError) { try file.read(bytes, at: part.lowerBound * size) } catch let thrown {
                error = thrown
            }
        }
        if let error { throw error }
    }
}

/// The pairs of sorted runs in one order: a heap of the runs by their next pair.
struct RunMerge {
    private var runs: [RunReader] = []

    /// The smallest pair; nil if there is none.
    var first: PairSorter.Pair? { runs.first?.first }

    mutating func add(_ run: RunReader) {
        runs.append(run)
        var child = runs.count - 1
        while child > 0, isLess(child, (child - 1) / 2) {
            runs.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Goes on to the next pair.
    mutating func advance() throws(IndexError) {
        try runs[0].advance()
        if runs[0].first == nil {
            runs.swapAt(0, runs.count - 1)
            runs.removeLast()
        }
        var parent = 0
        while true {
            var least = parent
            for child in 2 * parent + 1..<2 * parent + 3 where child < runs.count && isLess(child, least) {
                least = child
            }
            if least == parent { return }
            runs.swapAt(parent, least)
            parent = least
        }
    }

    private func isLess(_ a: Int, _ b: Int) -> Bool {
        guard let first = runs[a].first, let second = runs[b].first else { return false }
        return first < second
    }
}

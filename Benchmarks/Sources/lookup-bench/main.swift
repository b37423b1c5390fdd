// SPDX-License-Identifier: GPL-2.0-or-later
//
// lookup-bench FILE [--cache] [--rounds N] LABEL=ADDRESSES…
//
// Measures lookups a second through the library, on one thread. FILE is a symbol file, ADDRESSES a file with one
// hexadecimal address a line. With --cache the table comes from the cache, mapped; otherwise it is built first. Each figure
// is the best of the rounds, by the processor time of this thread.

import Glibc
import Symbolize

func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

func fail(_ message: String) -> Never {
    print("lookup-bench: \(message)")
    exit(2)
}

func addresses(in path: String) -> [UInt64] {
    guard let file = fopen(path, "r") else { fail("\(path) cannot be read") }
    defer { fclose(file) }
    var found: [UInt64] = []
    var line = [CChar](repeating: 0, count: 64)
    while fgets(&line, Int32(line.count), file) != nil { found.append(strtoull(line, nil, 16)) }
    return found
}

/// Sums over the answers of one way of looking up: they keep the loop from being optimised away and make the ways
/// comparable.
struct Sums: Equatable {
    var lines: UInt64 = 0
    var frames: UInt64 = 0

    mutating func add(_ line: UInt32, frames count: UInt64 = 0) {
        lines &+= UInt64(line)
        frames &+= count
    }
}

struct Bench {
    let lookup: SymbolLookup
    let rounds: Int

    typealias Hits = UnsafeMutableBufferPointer<SymbolHit>

    /// The best rate, in millions of addresses a second.
    func rate(_ count: Int, _ body: (inout Sums) -> Void) -> (rate: Double, sums: Sums) {
        var best = Double.infinity
        var sums = Sums()
        for _ in 0..<rounds {
            sums = Sums()
            let start = seconds()
            body(&sums)
            best = min(best, seconds() - start)
        }
        return (Double(count) / best / 1e6, sums)
    }

    func one(_ list: [UInt64], _ sums: inout Sums) {
        for address in list { sums.add(lookup.find(address).line) }
    }

    func batch(_ list: [UInt64], _ hits: Hits, _ sums: inout Sums) {
        list.withUnsafeBufferPointer { lookup.find($0, into: hits) }
        for hit in hits { sums.add(hit.line) }
    }

    func sorted(_ list: [UInt64], _ hits: Hits, _ sums: inout Sums) {
        list.withUnsafeBufferPointer { lookup.find(sorted: $0, into: hits) }
        for hit in hits { sums.add(hit.line) }
    }

    func chainOfOne(_ list: [UInt64], _ sums: inout Sums) {
        for address in list { lookup.forEachFrame(lookup.find(address)) { sums.add($0.line, frames: 1) } }
    }

    func chainsOfBatch(_ list: [UInt64], _ hits: Hits, _ sums: inout Sums) {
        list.withUnsafeBufferPointer { lookup.find($0, into: hits) }
        lookup.forEachFrame(UnsafeBufferPointer(hits)) { sums.add($1.line, frames: 1) }
    }

    /// One line of the table.
    func report(_ label: String, _ list: [UInt64]) {
        let hits = Hits.allocate(capacity: list.count)
        defer { hits.deallocate() }
        let isSorted = zip(list, list.dropFirst()).allSatisfy { $0 <= $1 }
        let single = rate(list.count) { one(list, &$0) }
        let batched = rate(list.count) { batch(list, hits, &$0) }
        let ordered = isSorted ? rate(list.count) { sorted(list, hits, &$0) } : nil
        let chained = rate(list.count) { chainOfOne(list, &$0) }
        let chains = rate(list.count) { chainsOfBatch(list, hits, &$0) }
        guard single.sums == batched.sums, ordered?.sums ?? single.sums == single.sums, chained.sums == chains.sums
        else { fail("\(label): two ways of looking up give different answers") }
        let depth = Double(chained.sums.frames) / Double(max(list.count, 1))
        let cells = [single.rate, batched.rate, ordered?.rate, chained.rate, chains.rate].map { $0.map(text) ?? "" }
        print("| \(label) | \(cells.joined(separator: " | ")) | \(text(depth)) |")
    }

    private func text(_ number: Double) -> String {
        number < 10 ? "\(Double(Int(number * 10)) / 10)" : "\(Int(number))"
    }
}

var path: String?
var lists: [(label: String, addresses: [UInt64])] = []
var (cache, rounds) = (SymbolCache.off, 7)
var arguments = CommandLine.arguments.dropFirst()
while let argument = arguments.popFirst() {
    if argument == "--cache" {
        cache = .standard
    } else if argument == "--rounds" {
        rounds = arguments.popFirst().flatMap { Int($0) } ?? rounds
    } else if path == nil {
        path = argument
    } else if let equals = argument.firstIndex(of: "=") {
        let label = String(argument[..<equals])
        let list = addresses(in: String(argument[argument.index(after: equals)...]))
        lists += [(label, list), ("\(label), sorted", list.sorted())]
    } else {
        fail("\(argument): expected LABEL=FILE")
    }
}
guard let path else { fail("usage: lookup-bench FILE [--cache] [--rounds N] LABEL=ADDRESSES…") }
let symbolizer = Symbolizer(cache: cache)
do {
    // The first call may build the table; the second reads it from the cache.
    if cache.directory != nil { try Symbolizer(cache: cache).add(path) }
    try symbolizer.add(path)
} catch {
    fail("\(error)")
}
print("| M/s | line, one call | line, batch | line, sorted batch | chain, one call | chains, batch | frames |")
print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
let bench = Bench(lookup: symbolizer.lookup, rounds: rounds)
for (label, list) in lists { bench.report(label, list) }

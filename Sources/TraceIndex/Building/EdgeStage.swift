// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat
import Symbolize

/// Fills the table of edges: one pass over all branches, on all processors.
struct EdgeStage {
    private let log: LogFile
    private let database: Database
    private let chunks: [Chunk]
    /// Chunks in a block.
    private let group: Int

    /// Chunks that a thread takes at once.
    private static let share = 32

    init(_ log: LogFile, _ database: Database) {
        self.log = log
        self.database = database
        // As LogRegistry.Source counts them.
        chunks = log.chunks.filter { $0.stream == .branch && $0.count > 0 }
        group = max(1, (chunks.count + EdgeCollector.blockLimit - 1) / EdgeCollector.blockLimit)
    }

    func run(progress: (Double) -> Void) throws(SQLError) {
        let threads = min(Parallel.threadCount, max(1, chunks.count))
        let blockCount = (chunks.count + group - 1) / group
        let collectors = (0..<threads).map { _ in EdgeCollector(blockCount: blockCount) }
        let (log, chunks, group) = (log, chunks, group)
        let round = threads * EdgeStage.share
        for start in stride(from: 0, to: chunks.count, by: round) {
            Parallel.run(threads) { thread in
                let first = start + thread * EdgeStage.share
                for place in first..<max(first, min(first + EdgeStage.share, chunks.count))
                where !chunks[place].isElided {
                    collectors[thread].add(chunks[place], of: log, block: place / group)
                }
            }
            progress(Double(start) / Double(max(chunks.count, 1)))
        }
        var problems = ProblemCounts(.edges)
        let leftOut = collectors.reduce(0) { $0 &+ $1.leftOut }
        problems.add(
            .edgesLeftOut, source: IndexLocation.name(log.path), count: leftOut,
            text: "there are more distinct branches than the table holds")
        for collector in collectors { problems.add(.unreadableBranches, collector.damage) }
        try problems.write(to: database)
        try write(collectors)
        // Without all branches, an address may be in any chunk.
        if leftOut == 0, collectors.allSatisfy(\.damage.isEmpty) {
            try database.execute("INSERT INTO _meta VALUES ('edge_block', \(group))")
        }
    }

    /// Writes the edges of all threads, equal ones put together.
    private func write(_ collectors: [EdgeCollector]) throws(SQLError) {
        let insert = try database.prepare("INSERT INTO _edge VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        var lists = collectors.map { $0.edges[...] }
        var blocks = [UInt64](repeating: 0, count: collectors.first?.blockWords ?? 1)
        var id: Int64 = 0
        func key(_ edge: EdgeCollector.Edge) -> (UInt16, UInt64, UInt64, UInt8) {
            (edge.vcpu, edge.from, edge.to, edge.label)
        }
        while let lowest = lists.compactMap({ $0.first.map(key) }).min(by: <) {
            var sum: EdgeCollector.Edge?
            for index in blocks.indices { blocks[index] = 0 }
            for (collector, place) in zip(collectors, lists.indices) {
                guard let edge = lists[place].first, key(edge) == lowest else { continue }
                lists[place].removeFirst()
                collector.addBlocks(of: edge, to: &blocks)
                guard let other = sum else {
                    sum = edge
                    continue
                }
                sum?.count = other.count &+ edge.count
                sum?.first = min(other.first, edge.first)
                sum?.last = max(other.last, edge.last)
            }
            guard let edge = sum else { continue }
            id += 1
            insert.bind(1, id)
            insert.bind(2, Int64(edge.vcpu))
            insert.bind(3, bits: edge.from)
            insert.bind(4, bits: edge.to)
            insert.bind(5, Int64(edge.label))
            insert.bind(6, bits: edge.count)
            insert.bind(7, bits: edge.first)
            insert.bind(8, bits: edge.last)
            let bytes = EdgeBlocks.encode(EdgeStage.numbers(blocks))
            bytes.withUnsafeBytes { insert.bind(9, blob: $0) }
            try insert.run()
        }
    }

    /// The numbers of the bits that are set.
    private static func numbers(_ words: [UInt64]) -> [Int] {
        var numbers: [Int] = []
        for (index, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                numbers.append(index * 64 + rest.trailingZeroBitCount)
                rest &= rest - 1
            }
        }
        return numbers
    }
}

/// Names the addresses of edges.
struct PlaceStage {
    let database: Database
    let symbolizer: Symbolizer?

    func run() throws(SQLError) {
        guard let symbolizer else { return }
        try PlaceCollector.name(
            #"SELECT "from" FROM _edge UNION SELECT "to" FROM _edge"#, symbolizer, in: database)
    }
}

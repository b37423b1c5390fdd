// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// The distinct branches of each vCPU, with their counts. The whole log is decoded before the first row.
final class EdgeSource: TableSource<EdgeRow> {
    private let log: OpenLog
    private let request: StreamRequest
    private var end: EndReport
    private var vcpus: [UInt16]?
    private var rows: ArraySlice<EdgeRow> = []

    init(_ log: OpenLog, _ request: StreamRequest) throws(RequestError) {
        self.log = log
        self.request = request
        end = EndReport(log, skipsDamage: request.skipsDamage)
        super.init(try request.choose(EdgeRow.columns) { $0.definition.name })
    }

    override func produce() throws -> Bool {
        if rows.isEmpty {
            var left = vcpus ?? request.vcpus(of: log.file)
            guard let vcpu = left.first else {
                try end.check()
                return false
            }
            left.removeFirst()
            vcpus = left
            rows = try count(vcpu)[...]
        }
        for row in rows.prefix(1024) { append(row) }
        rows = rows.dropFirst(1024)
        return true
    }

    private func count(_ vcpu: UInt16) throws(LogError) -> [EdgeRow] {
        var table = HashTable<EdgeRow>(limit: EdgeRow.limit, expected: 1 << 14)
        var isFull = false
        var cursor = log.file.branches(vcpu: vcpu, from: request.from, to: request.to, columns: [.path, .label])
        while !isFull, cursor.nextBatch({ isFull = !EdgeSource.add($0, $1, vcpu: vcpu, to: &table) }) {}
        if isFull {
            let text = "vCPU \(vcpu) has more than \(EdgeRow.limit) distinct branches; choose a range of clocks"
            throw LogError(file: log.file.path, kind: .invalidRequest(text))
        }
        if let damage = cursor.skipped.first, !request.skipsDamage {
            throw LogError(file: damage.file, offset: damage.offset, kind: .damaged(damage.what))
        }
        log.skip(cursor.skipped)
        var rows: [EdgeRow] = []
        table.visit { rows.append($0) }
        return rows.sorted { ($0.from, $0.to, $0.label) < ($1.from, $1.to, $1.label) }
    }

    /// Counts branches. Returns false if the table is full.
    private static func add(
        _ batch: borrowing BranchBatch, _ range: Range<Int>, vcpu: UInt16, to table: inout HashTable<EdgeRow>
    ) -> Bool {
        let (from, to, label, clock) = (batch.from, batch.to, batch.label, batch.clockFirst)
        var probe = table.probe
        for index in range {
            let key = EdgeRow.Key(from: from[index], to: to[index], label: label[index])
            let clock = clock &+ UInt64(truncatingIfNeeded: index)
            if let edge = probe.find(key) {
                edge.pointee.count &+= 1
                edge.pointee.last = clock
            } else {
                guard table.insert(EdgeRow(key, vcpu: vcpu, clock: clock)) else { return false }
                probe = table.probe
            }
        }
        return true
    }
}

/// A distinct branch of a vCPU.
struct EdgeRow: HashSlot {
    struct Key {
        var from: UInt64
        var to: UInt64
        var label: UInt8
    }

    fileprivate var from: UInt64 = 0
    fileprivate var to: UInt64 = 0
    /// 0 in a free slot.
    fileprivate var count: UInt64 = 0
    fileprivate var first: UInt64 = 0
    fileprivate var last: UInt64 = 0
    fileprivate var vcpu: UInt16 = 0
    fileprivate var label: UInt8 = 0

    /// The most edges of a vCPU; a Linux boot has 92,000.
    static let limit = 1 << 22

    fileprivate init() {}

    fileprivate init(_ key: Key, vcpu: UInt16, clock: UInt64) {
        (from, to, label, self.vcpu) = (key.from, key.to, key.label, vcpu)
        (count, first, last) = (1, clock, clock)
    }

    static let free = EdgeRow()
    var isFree: Bool { count == 0 }
    func holds(_ key: Key) -> Bool { from == key.from && to == key.to && label == key.label }
    func hash(_ seeds: HashSeeds) -> UInt64 { EdgeRow.hash(Key(from: from, to: to, label: label), seeds) }
    static func hash(_ key: Key, _ seeds: HashSeeds) -> UInt64 {
        seeds.mix(key.from, key.to ^ UInt64(key.label) &<< 56)
    }

    static var columns: [TableColumn<EdgeRow>] {
        [
            .init(.init("vcpu", .int32, "the vCPU")) { $1.append(Int64($0.vcpu)) },
            .init(.init("from", isCode: true, "address of the instruction that the branch left")) {
                $1.append($0.from)
            },
            .init(.init("to", isCode: true, "address of the instruction that began next")) { $1.append($0.to) },
            .init(.init("kind", .text, "class of the instruction at `from`, with ! if its static target is `to`")) {
                $1.append(LabelNames.all[Int($0.label)])
            },
            .init(.init("count", unit: "transitions", "how often it was taken")) { $1.append($0.count) },
            .init(.init("first_brctr", unit: "transitions", "the first time")) { $1.append($0.first) },
            .init(.init("last_brctr", unit: "transitions", "the last time")) { $1.append($0.last) },
        ]
    }
}

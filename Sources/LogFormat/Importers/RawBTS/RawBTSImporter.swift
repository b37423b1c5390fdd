// SPDX-License-Identifier: GPL-2.0-or-later

/// Raw branch records as a log. A counter that jumps forward begins a new epoch; records after a counter that goes back
/// are left out, since a log's clock does not.
struct RawBTSImporter: Importer {
    let raw: RawBTSFile

    init(_ raw: RawBTSFile) { self.raw = raw }

    var format: InputFormat { raw.form == .extended ? .rawBTSExtended : .rawBTS }
    var path: String { raw.path }

    var options: LogWriter.Options {
        var options = LogWriter.Options()
        options.features = [.branches]
        options.runKind = .plain
        options.recorderName = "imported from raw BTS records"
        var first = raw.branches()
        _ = first.nextBatch { batch, range in options.clockBase = batch.clockFirst &+ UInt64(range.lowerBound) }
        return options
    }

    func write(to writer: LogWriter, progress: ImportProgress) throws(LogError) -> [Damage] {
        var branches = raw.branches()
        var units: [RawBranch] = []
        var damage: [Damage] = []
        var done: UInt64 = 0
        while branches.nextBatch({ batch, range in
            let first = done
            done &+= UInt64(range.count)
            progress(Double(done) / Double(max(raw.count, 1)))
            let clock = batch.clockFirst &+ UInt64(range.lowerBound)
            let expected = writer.clock()
            guard clock >= expected else {
                damage.append(
                    Damage(
                        file: path, offset: raw.firstOffset &+ first &* UInt64(RawBTSFile.recordSize),
                        length: UInt64(range.count * RawBTSFile.recordSize),
                        what: .clock(expected: expected, found: clock), lostRecords: UInt64(range.count)))
                return
            }
            if clock > expected { writer.beginEpoch(clock: clock) }
            units.removeAll(keepingCapacity: true)
            for index in range {
                units.append(RawBranch(from: batch.from[index], to: batch.to[index], label: BranchLabel(.unknown)))
            }
            units.withUnsafeBufferPointer { writer.branches($0) }
        }) {}
        return damage + branches.skipped + (raw.damage.map { [$0] } ?? [])
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// What `tt-analyze info --format json` prints. 64-bit numbers are strings: a double would lose them.
struct InfoDocument: JSONDocument {
    struct VCPU: Encodable {
        var vcpu: UInt16
        var clockFirst: String?
        /// Behind the last record.
        var clockEnd: String?
        var icountFirst: String?
        var icountLast: String?
        var epochs: Int
        var streams: [Stream]
        var comparableEnd: ComparableEnd?
    }

    struct Stream: Encodable {
        var stream: String
        var chunks: Int
        var records: String
        var elidedRecords: String
        var storedBytes: String
        var rawBytes: String

        init(_ stream: LogSummary.Stream) {
            self.stream = stream.stream.name
            chunks = stream.chunks
            records = String(stream.records)
            elidedRecords = String(stream.elidedRecords)
            storedBytes = String(stream.storedBytes)
            rawBytes = String(stream.rawBytes)
        }
    }

    struct ComparableEnd: Encodable {
        var clock: String
        var icount: String?
        var reason: String
    }

    struct RunEnd: Encodable {
        var reason: String
        var text: String
    }

    var schema = "tt-analyze info"
    var version = 1
    var log: String
    var fileSize: String
    var completeness: String
    var formatVersion: UInt32
    var runKind: String
    var recordingUUID: String?
    var recorder: String
    var recorderName: String
    var recorderGeneration: UInt16
    var createdUnixNanoseconds: String
    var machine: UInt16
    var vcpuCount: Int
    var clock: String
    var clockBase: String
    var icountBase: String
    var mode: String
    var features: [String]
    var branchCellShift: UInt8
    var eventCellShift: UInt8
    var vcpus: [VCPU]
    var meta: Stream?
    var kinds: [String: String]
    var attributes: [String: String]
    var runEnd: RunEnd?
    var lostRecords: String
    var damagedParts: Int

    init(_ log: LogFile, _ summary: LogSummary, damageCount: Int) {
        let header = log.header
        self.log = log.path
        fileSize = String(log.fileSize)
        completeness =
            switch log.completeness {
            case .closed: "closed"
            case .beingWritten: "being-written"
            case .unclosed(openFileFound: true): "recovered"
            case .unclosed(openFileFound: false): "unclosed"
            }
        formatVersion = header.version
        runKind = "\(header.runKind)"
        recordingUUID = header.uuid.isKnown ? header.uuid.description : nil
        recorder = "\(header.recorder)"
        recorderName = header.recorderName
        recorderGeneration = header.recorderGeneration
        createdUnixNanoseconds = String(header.createdUnixNanoseconds)
        machine = header.machine
        vcpuCount = header.vcpuCount
        clock = "\(header.clock)"
        clockBase = String(header.clockBase)
        icountBase = String(header.icountBase)
        mode = "\(header.mode)"
        features = header.features.names
        branchCellShift = header.branchCellShift
        eventCellShift = header.eventCellShift
        vcpus = summary.vcpus.map { vcpu in
            let end = log.comparableEnd(vcpu: vcpu.vcpu)
            return VCPU(
                vcpu: vcpu.vcpu, clockFirst: vcpu.clocks.map { String($0.lowerBound) },
                clockEnd: vcpu.clocks.map { String($0.upperBound) },
                icountFirst: vcpu.icounts.map { String($0.lowerBound) },
                icountLast: vcpu.icounts.map { String($0.upperBound) }, epochs: vcpu.epochs,
                streams: vcpu.streams.map(Stream.init),
                comparableEnd: end.map {
                    ComparableEnd(clock: String($0.clock), icount: $0.icount.map { String($0) }, reason: $0.reason)
                })
        }
        meta = summary.meta.map(Stream.init)
        kinds = Dictionary(uniqueKeysWithValues: summary.kinds.map { ($0.key.name, String($0.value)) })
        attributes = log.attributes
        runEnd = log.runEnd.map { RunEnd(reason: $0.reason.name, text: $0.text) }
        lostRecords = String(log.lostRecords)
        damagedParts = damageCount
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

extension Assembler {
    mutating func setOptions(_ line: SourceLine) throws {
        guard writer == nil else { throw line.error("options must come before the first record") }
        for word in line.words.dropFirst() {
            let parts = word.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { throw line.error("KEY=VALUE expected: \(word)") }
            try setOption(parts[0], parts[1], line)
        }
    }

    private mutating func setOption(_ key: Substring, _ value: Substring, _ line: SourceLine) throws {
        func small<Value: FixedWidthInteger>(_: Value.Type) throws -> Value {
            guard let result = Value(exactly: try number(value, line)) else { throw line.error("too large: \(value)") }
            return result
        }
        func choice<Value>(_ values: [Substring: Value]) throws -> Value {
            guard let result = values[value] else {
                throw line.error("\(key) is one of \(values.keys.sorted().joined(separator: ", "))")
            }
            return result
        }
        switch key {
        case "mode": options.mode = try choice(["branches": .branches, "digest": .digest, "events": .events])
        case "codec": options.isCompressed = try choice(["raw": false, "zstd": true])
        case "branch-cell-shift": options.branchCellShift = try small(UInt8.self)
        case "event-cell-shift": options.eventCellShift = try small(UInt8.self)
        case "event-max": options.eventChunkMax = try small(Int.self)
        case "access-max": options.accessChunkMax = try small(Int.self)
        case "vcpus": options.vcpuCount = try small(Int.self)
        case "features": options.features = try features(value, line)
        case "uuid":
            guard let uuid = RecordingUUID(String(value)) else { throw line.error("32 hexadecimal digits expected") }
            options.uuid = uuid
        case "kind":
            options.runKind = try choice([
                "unknown": .unknown, "recording": .recording, "replay": .replay, "plain": .plain,
            ])
        case "clock":
            options.clock = try choice([
                "transitions": .transitions, "retired-branches": .retiredBranches,
                "synchronous-entries": .synchronousEntries, "instructions": .instructions,
            ])
        case "recorder":
            options.recorder = try choice(["unknown": .unknown, "qemu": .qemu, "xen": .xen, "synthetic": .synthetic])
        case "generation": options.recorderGeneration = try small(UInt16.self)
        case "machine": options.machine = Machine(rawValue: try small(UInt16.self))
        case "name": options.recorderName = String(value)
        case "clock-base": options.clockBase = try number(value, line)
        case "icount-base": options.icountBase = try number(value, line)
        case "kept": options.keptCells = try small(Int.self)
        case "nonce": options.nonce = try number(value, line)
        case "window":
            let bounds = value.split(separator: ":")
            guard bounds.count == 2 else { throw line.error("FROM:TO expected") }
            let (from, to) = (try number(bounds[0], line), try number(bounds[1], line))
            guard from <= to else { throw line.error("the window ends before it begins") }
            options.window = from..<to
        default: throw line.error("no such option: \(key)")
        }
    }

    private func features(_ list: Substring, _ line: SourceLine) throws -> FileHeader.Features {
        var result: FileHeader.Features = []
        for name in list.split(separator: ",") {
            let bit = (0..<64).first { FileHeader.Features(rawValue: 1 << UInt64($0)).names == [String(name)] }
            guard let bit else { throw line.error("no such feature: \(name)") }
            result.insert(FileHeader.Features(rawValue: 1 << UInt64(bit)))
        }
        return result
    }
}

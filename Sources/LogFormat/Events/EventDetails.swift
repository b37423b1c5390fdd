// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

extension Event {
    /// What happened, in a few words: `vector 32 -> 0xffffffff81a00000`, `port 0x3f8, 1 byte, value 0x41`.
    ///
    /// - Parameter name: puts a code address into words, with a space before them, or gives nothing.
    public func details(name: (UInt64) -> String) -> String {
        switch kind {
        case .interrupt, .exception, .softwareInterrupt: return vectorDetails(name)
        case .discontinuity:
            return "label \(BranchLabel(rawValue: UInt8(truncatingIfNeeded: info)))" + target(name)
        case .syscall, .hypercall, .hypercallResult:
            return join([known(info).map { "number \($0)" }, list("values", values)])
        case .portRead, .portWrite: return accessDetails("port")
        case .mmioRead, .mmioWrite: return accessDetails("address")
        case .rdtsc: return join([info == 1 ? "rdtscp" : nil, list("value", values)])
        case .rdrand, .timeUpdate: return list("value", values) ?? ""
        case .cpuid:
            let leaf = address.map { "leaf \(RowText.hex($0 & 0xffff_ffff)), subleaf \(RowText.hex($0 >> 32))" }
            guard values.count == 2 else { return join([leaf, list("values", values)]) }
            let results = [values[0], values[0] >> 32, values[1], values[1] >> 32]
            let names = ["eax", "ebx", "ecx", "edx"]
            let registers = zip(names, results).map { "\($0) \(RowText.hex($1 & 0xffff_ffff))" }
            return join([leaf, registers.joined(separator: ", ")])
        case .rdmsr, .wrmsr: return join([address.map { "msr \(RowText.hex($0))" }, list("value", values)])
        case .upcall: return join(["vector \(info)", list("pending", values)])
        case .context:
            let parts = zip(["cr3", "sp"], values).map { "\($0) \(RowText.hex($1))" }
            return parts.joined(separator: ", ")
        case .state: return stateDetails
        case .rewound: return zip(["from clock", "icount"], values).map { "\($0) \($1)" }.joined(separator: ", ")
        case .traceGap: return gapReason
        case .attribute, .annotation: return text
        case .comparableEnd: return "vcpu \(info): \(text)"
        case .runEnd: return join([RunEnd(rawValue: info).name, text.isEmpty ? nil : text])
        case .lost: return lossDetails
        default:
            return join(["info \(info)", address.map { "address \(RowText.hex($0))" }, list("values", values), bytes])
        }
    }

    private static let unknownVector = UInt32.max

    private func known(_ number: UInt32) -> UInt32? { number == Event.unknownVector ? nil : number }

    private func vectorDetails(_ name: (UInt64) -> String) -> String {
        let vector = known(info).map { "vector \($0)" } ?? "vector unknown"
        if kind == .exception {
            return join([vector, address.map { "address \(RowText.hex($0))" }, list("error code", values)])
        }
        return vector + target(name)
    }

    private func target(_ name: (UInt64) -> String) -> String {
        values.first.map { " -> \(RowText.hex($0))\(name($0))" } ?? ""
    }

    private func accessDetails(_ place: String) -> String {
        let size = info & 0xff
        let isString = info & 0x100 != 0
        return join([
            address.map { "\(place) \(RowText.hex($0))" },
            // 0: the recorder does not know the size.
            size == 0 ? nil : "\(size) byte\(size == 1 ? "" : "s")",
            isString ? "string" : nil, list("value", values),
        ])
    }

    private var stateDetails: String {
        let names = ["registers", "control", "vector", "cr2+cr3", "memory"]
        var words = values.makeIterator()
        var parts: [String] = []
        for bit in 0..<32 where info >> UInt32(bit) & 1 == 1 {
            guard let word = words.next() else { break }
            parts.append("\(bit < names.count ? names[bit] : "state-\(bit)") \(RowText.hex(word))")
        }
        return parts.joined(separator: ", ")
    }

    private var lossDetails: String {
        let vcpu = info == UInt32(noVCPU) ? nil : "vcpu \(info)"
        guard values.count >= 3 else { return join([vcpu, list("values", values)]) }
        let stream = UInt8(exactly: values[0]).flatMap { LogStream(rawValue: $0) }?.name ?? "\(values[0])"
        return join([vcpu, "stream \(stream), \(values[1]) records, until clock \(values[2])"])
    }

    /// The first bytes of a payload that no validity bit explains.
    private var bytes: String? {
        guard address == nil, values.isEmpty, !payload.isEmpty else { return nil }
        let shown = payload.prefix(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
        return "payload \(shown)" + (payload.count > 16 ? " … (\(payload.count) bytes)" : "")
    }

    private var gapReason: String {
        let reasons = ["unknown", "window closed", "checkpoint", "rewound"]
        return Int(info) < reasons.count ? reasons[Int(info)] : "reason \(info)"
    }

    private func list(_ title: String, _ words: [UInt64]) -> String? {
        words.isEmpty ? nil : "\(title) \(words.map(RowText.hex).joined(separator: " "))"
    }

    private func join(_ parts: [String?]) -> String { parts.compactMap { $0 }.joined(separator: ", ") }
}

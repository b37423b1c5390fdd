// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials
import RunDirectory
import TestSupport

@testable import ReplaySession

/// Random changes of a manifest.
struct ManifestMutation {
    /// The path of a file that a stranger wants.
    let precious: String
    var numbers: RandomNumbers

    /// The options that a replay may give to QEMU: its own, and those of ``ManifestPolicy``.
    static let expectedOptions = Set(ManifestPolicy.options.keys).union([
        "-machine", "-cpu", "-m", "-nodefaults", "-no-user-config", "-display", "-no-reboot", "-global", "-icount",
        "-kernel", "-initrd", "-append", "-drive", "-device", "-serial", "-chardev", "-mon", "-plugin", "-S",
    ])

    /// The changed manifest as a file; `words` gets the changes.
    mutating func apply(to manifest: JSONValue, _ words: inout [String]) throws -> [UInt8] {
        var document = manifest
        for _ in 0...numbers.below(2) { change(&document, "", &words) }
        if numbers.below(4) == 0 { addArguments(&document, &words) }
        let encoder = JSONEncoder()
        // Members are always in one order, so that damage hits the same bytes in each run.
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var bytes = Array(try encoder.encode(document))
        if numbers.below(8) == 0 { damage(&bytes, &words) }
        return bytes
    }

    private mutating func damage(_ bytes: inout [UInt8], _ words: inout [String]) {
        let place = Int(numbers.below(UInt64(bytes.count)))
        switch numbers.below(4) {
        case 0: bytes.removeSubrange(place...)
        case 1: bytes[place] ^= 1 << UInt8(numbers.below(8))
        case 2: bytes.insert(contentsOf: [UInt8](repeating: 0x5b, count: 20_000), at: place)
        default: bytes.removeSubrange(place..<min(bytes.count, place + 40))
        }
        words.append("bytes at \(place)")
    }

    /// Changes one value, at any depth.
    private mutating func change(_ value: inout JSONValue, _ path: String, _ words: inout [String]) {
        switch value {
        case .object(var members) where !members.isEmpty && numbers.below(12) != 0:
            let key = members.keys.sorted()[Int(numbers.below(UInt64(members.count)))]
            if numbers.below(12) == 0 {
                members[key] = nil
                words.append("\(path).\(key) removed")
            } else {
                change(&members[key, default: .null], "\(path).\(key)", &words)
            }
            value = .object(members)
        case .array(var elements) where !elements.isEmpty && numbers.below(4) != 0:
            let index = Int(numbers.below(UInt64(elements.count)))
            change(&elements[index], "\(path)[\(index)]", &words)
            value = .array(elements)
        default:
            value = hostileValue(value)
            words.append("\(path) = \(String("\(value)".prefix(200)))")
        }
    }

    private mutating func hostileValue(_ old: JSONValue) -> JSONValue {
        switch numbers.below(10) {
        case 0: return .null
        case 1: return .integer([0, -1, .max, .min, 1 << 53][Int(numbers.below(5))])
        case 2: return .number(1e308)
        case 3: return .array([old, old])
        case 4: return .string(String(repeating: "A", count: 1 << Int(numbers.below(17))))
        default: break
        }
        guard case .string(let text) = old else { return .string(hostileText("")) }
        return .string(hostileText(text))
    }

    private mutating func hostileText(_ text: String) -> String {
        let texts = [
            precious, precious + ".new", "../" + precious, "exec:touch \(precious)", "\(text),\(precious)",
            "\(text),file=\(precious)", "\(text),log=\(precious)", "\(text),chardev=\(precious)", "-incoming",
            "file:\(precious)", "json:{\"driver\":\"file\",\"filename\":\"\(precious)\"}", "/dev/zero", "/dev/stdin",
            "\(text)\n-incoming\nexec:touch \(precious)", "\(text)\u{0}", "", "-plugin", "\u{1b}]0;\(text)\u{7}",
            "/proc/self/fd/0", "\(text),,", "\(text),romfile=\(precious)", "disk 0", "file 1 of the arguments",
        ]
        return texts[Int(numbers.below(UInt64(texts.count)))]
    }

    /// Options that write, run, load or listen.
    private mutating func addArguments(_ document: inout JSONValue, _ words: inout [String]) {
        let options = [
            ["-incoming", "exec:touch \(precious)"], ["-plugin", precious], ["-chardev", "file,id=c,path=\(precious)"],
            ["-serial", "file:\(precious)"], ["-D", precious], ["-pidfile", precious], ["-daemonize"], ["-S"],
            ["-drive", "file=\(precious),if=none,id=x"], ["-bios", precious], ["-kernel", precious],
            ["-device", "loader,file=\(precious),addr=0"], ["-device", "e1000,romfile=\(precious)"],
            ["-fw_cfg", "name=x,file=\(precious)"], ["-fw_cfg", "name=x,string=\(precious)"], ["-append", precious],
            ["-object", "memory-backend-file,id=m,size=1M,mem-path=\(precious),share=on"], ["-name", precious],
            ["-netdev", "user,id=n,guestfwd=tcp:10.0.2.100:1-cmd:touch \(precious)"], ["-gdb", "tcp::1234"],
            ["-M", "pc,dumpdtb=\(precious)"], ["-writeconfig", precious], ["-trace", "file=\(precious)"],
            ["-smp", "1"],
            ["--bios", precious], ["-msg", "timestamp=on"], ["-rtc", "base=utc"], ["-add-fd", "fd=0,set=1"],
        ]
        let chosen = options[Int(numbers.below(UInt64(options.count)))]
        let list = JSONValue.array(chosen.map(JSONValue.string))
        set(&document, ["engine", "details", "guest", "extraArguments"], list)
        words.append("arguments \(chosen)")
    }

    private func set(_ document: inout JSONValue, _ path: [String], _ value: JSONValue) {
        guard let key = path.first, case .object(var members) = document else { return }
        var inner = members[key] ?? .object([:])
        if path.count == 1 { inner = value } else { set(&inner, Array(path.dropFirst()), value) }
        members[key] = inner
        document = .object(members)
    }
}

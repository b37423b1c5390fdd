// SPDX-License-Identifier: GPL-2.0-or-later

/// A register that an instruction reads or writes, and which of its bytes.
public struct RegisterUse: Hashable, Sendable {
    /// A register that carries data from one instruction to another. Parts of a register (`al`, `eax`) are one register.
    public enum Register: UInt8, Hashable, Sendable, CaseIterable {
        /// The general registers, as x86 numbers them.
        case rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
        /// The arithmetic flags, as one.
        case flags
        /// The vector registers, each with its wider forms.
        case xmm0, xmm1, xmm2, xmm3, xmm4, xmm5, xmm6, xmm7, xmm8, xmm9, xmm10, xmm11, xmm12, xmm13, xmm14, xmm15
        /// All x87 and MMX registers.
        case x87
        /// All control and debug registers.
        case control
    }

    /// The register.
    public var register: Register
    /// A bit for each of the low eight bytes; all bits for registers that are no general registers.
    public var bytes: UInt8

    /// A use.
    public init(_ register: Register, bytes: UInt8 = 0xff) {
        self.register = register
        self.bytes = bytes
    }

    /// The register that capstone names; nil for registers that carry no data here (segments, the instruction pointer).
    init?(capstoneName name: String) {
        if let (register, bytes) = RegisterUse.parts[name] {
            self.init(register, bytes: bytes)
        } else if let number = RegisterUse.number(name, ["xmm", "ymm", "zmm"]) {
            guard let register = Register(rawValue: Register.xmm0.rawValue + UInt8(number % 16)) else { return nil }
            self.init(register)
        } else if name.hasPrefix("st") || RegisterUse.number(name, ["mm"]) != nil || name == "fpsw" {
            self.init(.x87)
        } else if RegisterUse.number(name, ["cr", "dr"]) != nil {
            self.init(.control)
        } else if name.hasSuffix("flags") {
            self.init(.flags)
        } else {
            return nil
        }
    }

    private static func number(_ name: String, _ prefixes: [String]) -> Int? {
        for prefix in prefixes where name.hasPrefix(prefix) {
            if let number = Int(name.dropFirst(prefix.count)) { return number }
        }
        return nil
    }

    /// The general registers and their parts, by name.
    private static let parts: [String: (Register, UInt8)] = {
        var parts: [String: (Register, UInt8)] = [:]
        for (letter, register) in [("a", Register.rax), ("c", .rcx), ("d", .rdx), ("b", .rbx)] {
            parts["r\(letter)x"] = (register, 0xff)
            parts["e\(letter)x"] = (register, 0x0f)
            parts["\(letter)x"] = (register, 0x03)
            parts["\(letter)l"] = (register, 0x01)
            parts["\(letter)h"] = (register, 0x02)
        }
        for (name, register) in [("sp", Register.rsp), ("bp", .rbp), ("si", .rsi), ("di", .rdi)] {
            parts["r\(name)"] = (register, 0xff)
            parts["e\(name)"] = (register, 0x0f)
            parts[name] = (register, 0x03)
            parts["\(name)l"] = (register, 0x01)
        }
        for number in 8...15 {
            guard let register = Register(rawValue: UInt8(number)) else { continue }
            for (suffix, bytes) in [("", 0xff), ("d", 0x0f), ("w", 0x03), ("b", 0x01)] {
                parts["r\(number)\(suffix)"] = (register, UInt8(bytes))
            }
        }
        return parts
    }()
}

extension RegisterUse.Register {
    /// The name of the whole register; `flags` for the arithmetic flags.
    public var name: String { "\(self)" }

    /// The name in upper case, as QEMU's monitor writes it.
    public var upperName: String {
        switch self {
        case .flags: "RFL"
        default: "\(self)".uppercased()
        }
    }
}

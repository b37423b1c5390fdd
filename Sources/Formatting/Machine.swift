// SPDX-License-Identifier: GPL-2.0-or-later

/// A processor architecture, as ELF numbers it (`e_machine`).
public struct Machine: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number in `e_machine`.
    public var rawValue: UInt16

    /// The machine of that number, known here or not.
    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// `EM_NONE`: not known.
    public static let unknown = Machine(rawValue: 0)
    /// `EM_386`.
    public static let i386 = Machine(rawValue: 3)
    /// `EM_ARM`.
    public static let arm = Machine(rawValue: 40)
    // swift-format-ignore: AlwaysUseLowerCamelCase
    /// `EM_X86_64`.
    public static let x86_64 = Machine(rawValue: 62)
    /// `EM_AARCH64`.
    public static let aarch64 = Machine(rawValue: 183)
    /// `EM_RISCV`.
    public static let riscv = Machine(rawValue: 243)

    /// Whether the instructions are x86, of 32 or 64 bits.
    public var isX86: Bool { self == .x86_64 || self == .i386 }

    /// Whether a processor runs code for this machine: x86-64 runs i386 code.
    public func runs(on processor: Machine) -> Bool {
        self == processor || (self == .i386 && processor == .x86_64)
    }

    /// The machine's name: `x86-64`; `machine 99` for a number without one.
    public var description: String {
        switch self {
        case .unknown: "an unknown machine"
        case .i386: "i386"
        case .arm: "arm"
        case .x86_64: "x86-64"
        case .aarch64: "aarch64"
        case .riscv: "riscv"
        default: "machine \(rawValue)"
        }
    }
}

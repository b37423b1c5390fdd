// SPDX-License-Identifier: GPL-2.0-or-later

import CDemangle
import Glibc

/// Turns the linkage names of C++, Rust, Swift and D into names as their sources have them.
///
///     Demangler.demangle("_ZN5outer4overEi")                       // outer::over(int)
///     Demangler.demangle("_RNvCs1234_4core3foo")                   // core::foo
///     Demangler.demangle("$s4main5ShapeV4areaSdvg")                // main.Shape.area.getter : Swift.Double
///     Demangler.demangle("printf")                                 // nil
///
/// C++, Rust and D by GNU libiberty, Swift by the Swift runtime. A suffix of the compiler's (`.cold`) is kept as the
/// demanglers print it; a suffix after `@` (`@plt`) is kept as it is.
public enum Demangler {
    /// The longest demangled name, in bytes; a longer one is left mangled. A short name can mean terabytes.
    public static let lengthLimit = 8192
    /// The longest linkage name that is looked at, in bytes.
    public static let inputLimit = 16384

    /// The name in the source's terms; `nil` if the name is not mangled, or damaged, or too long.
    public static func demangle(_ name: String) -> String? {
        guard isMangled(name.utf8), name.utf8.count <= inputLimit else { return nil }
        let stem = name.prefix { $0 != "@" }
        let suffix = name[stem.endIndex...]
        let found = stem.utf8.first == UInt8(ascii: "_") ? gnu(String(stem)) ?? swift(stem) : swift(stem)
        return found.map { $0 + suffix }
    }

    /// Whether a name begins as mangled ones do.
    @inline(__always)
    static func isMangled(_ name: some Collection<UInt8>) -> Bool {
        guard let first = name.first, first == 0x5f || first == 0x24, let second = name.dropFirst().first else {
            return false
        }
        let isGNU = second == UInt8(ascii: "Z") || second == UInt8(ascii: "R") || second == UInt8(ascii: "D")
        let isSwift = second == UInt8(ascii: "$") || second == UInt8(ascii: "T")
        return first == 0x24 ? second | 0x20 == UInt8(ascii: "s") || second == UInt8(ascii: "e") : isGNU || isSwift
    }

    private static func gnu(_ name: String) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: lengthLimit) { output in
            let count = ttd_demangle(name, output.baseAddress, output.count)
            guard count > 0 else { return nil }
            return String(decoding: UnsafeRawBufferPointer(output)[..<count], as: UTF8.self)
        }
    }

    /// Substitutions repeat parts of a name, and each can double the text; names with more of them are left mangled.
    private static let substitutionLimit = 48
    private static let swiftPrefixes = ["$s", "$S", "$e", "_$s", "_$S", "_$e", "_T0"]

    private static func swift(_ name: Substring) -> String? {
        guard swiftPrefixes.contains(where: { name.hasPrefix($0) }), name.utf8.count <= 4096,
            name.utf8.count(where: { $0 == UInt8(ascii: "A") }) <= substitutionLimit
        else { return nil }
        var text = String(name)
        let found = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                runtimeDemangle($0.baseAddress, UInt($0.count), nil, nil, 0)
            }
        }
        guard let found else { return nil }
        defer { free(found) }
        guard strnlen(found, lengthLimit + 1) <= lengthLimit else { return nil }
        // The runtime returns what it cannot read.
        let demangled = String(cString: found)
        return demangled == name ? nil : demangled
    }
}

/// The Swift runtime's demangler (swift/Runtime/Debug.h): memory of malloc, or `nil`.
@_silgen_name("swift_demangle")
private func runtimeDemangle(
    _ name: UnsafePointer<CChar>?, _ length: UInt, _ output: UnsafeMutablePointer<CChar>?,
    _ size: UnsafeMutablePointer<UInt>?, _ flags: UInt32
) -> UnsafeMutablePointer<CChar>?

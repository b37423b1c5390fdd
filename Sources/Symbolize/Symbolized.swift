// SPDX-License-Identifier: GPL-2.0-or-later

/// What an address is: the answer of ``Symbolizer/symbolize(_:)``.
///
/// Two names may stand side by side, and both are kept: `symbol` comes from the ELF symbol table and knows the parts
/// that a compiler split off (`foo.cold`) and hand-written assembly; the last of `frames` comes from DWARF and knows
/// the function as the source calls it (`foo`).
public struct Symbolized: Hashable, Sendable {
    /// The file that knows the address.
    public var module: String
    /// The function symbol that contains the address; `nil` where none does (padding between functions).
    public var symbol: String?
    /// Bytes from the beginning of `symbol`; 0 without a symbol.
    public var offset: UInt64
    /// The source position, innermost inlined function first; the last one is the function itself. Empty where the
    /// file has neither a DWARF function nor a source line. Assembly has one frame: the symbol's name and its line.
    public var frames: [SourceFrame]

    public init(module: String, symbol: String?, offset: UInt64, frames: [SourceFrame]) {
        self.module = module
        self.symbol = symbol
        self.offset = offset
        self.frames = frames
    }

    /// `foo+0x12`, or `inlined+0x4 @ foo+0x12` where code of other functions was inlined here; a function's first
    /// byte is plain `foo`.
    public var label: String {
        var parts: [String] = []
        for frame in frames where frame.isInlined {
            parts.append(Symbolized.name(frame.function, offset: frame.offset ?? 0))
        }
        if let symbol {
            parts.append(Symbolized.name(symbol, offset: offset))
        } else if let function = frames.last, !function.isInlined {
            parts.append(Symbolized.name(function.function, offset: function.offset ?? 0))
        }
        return parts.joined(separator: " @ ")
    }

    /// `file.c:12` of the innermost frame.
    public var sourcePlace: String? { frames.first?.place }

    private static func name(_ name: String, offset: UInt64) -> String {
        offset == 0 ? name : "\(name)+\(hexadecimal(offset))"
    }
}

/// One level of an inline chain.
public struct SourceFrame: Hashable, Sendable {
    /// The function's name: the linkage name where it has one (C++, Rust), `??` where it has none at all.
    public var function: String
    /// The source file, as the compiler wrote it down; `nil` when it is not known.
    public var file: String?
    /// The line in `file`; 0 when it is not known. In the innermost frame the line of the instruction, in the others
    /// the line of the call that was inlined.
    public var line: Int
    /// Whether this is a function inlined into the next frame.
    public var isInlined: Bool
    /// Bytes from the lowest address of this function's (or this inlined copy's) code; `nil` when that is not known.
    public var offset: UInt64?

    public init(function: String, file: String?, line: Int, isInlined: Bool, offset: UInt64? = nil) {
        self.function = function
        self.file = file
        self.line = line
        self.isInlined = isInlined
        self.offset = offset
    }

    /// `file.c:12`, with `?` for a line that is not known; `nil` without a file.
    public var place: String? { file.map { "\($0):\(line == 0 ? "?" : String(line))" } }
}

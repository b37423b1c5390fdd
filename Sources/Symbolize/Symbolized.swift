// SPDX-License-Identifier: GPL-2.0-or-later

/// What an address is: the answer of ``Symbolizer/symbolize(_:)``.
///
/// There may be two names, and both are kept: `symbol` comes from the ELF symbol table and knows the parts
/// that a compiler split off (`foo.cold`) and hand-written assembly; the last of `frames` comes from DWARF and knows
/// the function as the source calls it (`foo`).
public struct Symbolized: Hashable, Sendable {
    /// The file that knows the address.
    public var module: String
    /// The function symbol that contains the address; `nil` if none does (padding between functions).
    public var symbol: String?
    /// The name that `symbol` has in its source (``Demangler``); `nil` if it is the same, or demangling is off.
    public var demangledSymbol: String?
    /// Bytes from the beginning of `symbol`; 0 without a symbol.
    public var offset: UInt64
    /// The source position, innermost inlined function first; the last one is the function itself. Empty where the
    /// file has neither a DWARF function nor a source line. Assembly has one frame: the symbol's name and its line.
    public var frames: [SourceFrame]

    /// Makes an answer.
    public init(module: String, symbol: String?, offset: UInt64, frames: [SourceFrame]) {
        self.module = module
        self.symbol = symbol
        self.offset = offset
        self.frames = frames
    }

    /// `symbol` as people read it: demangled, if demangling is on.
    public var displayedSymbol: String? { demangledSymbol ?? symbol }

    /// `foo+0x12`, or `inlined+0x4 @ foo+0x12` where code of other functions was inlined; a function's first byte is
    /// plain `foo`. Demangled, if demangling is on.
    public var label: String {
        var parts: [String] = []
        for frame in frames where frame.isInlined {
            parts.append(Symbolized.name(frame.displayedFunction, offset: frame.offset ?? 0))
        }
        if let symbol = displayedSymbol {
            parts.append(Symbolized.name(symbol, offset: offset))
        } else if let function = frames.last, !function.isInlined {
            parts.append(Symbolized.name(function.displayedFunction, offset: function.offset ?? 0))
        }
        return parts.joined(separator: " @ ")
    }

    /// `file.c:12` of the innermost frame.
    public var sourcePlace: String? { frames.first?.place }

    private static func name(_ name: String, offset: UInt64) -> String {
        offset == 0 ? name : "\(name)+\(hexadecimal(offset))"
    }
}

extension Symbolized {
    /// The same with demangled names.
    func demangled() -> Symbolized {
        var result = self
        result.demangledSymbol = symbol.flatMap(Demangler.demangle)
        for index in frames.indices {
            result.frames[index].demangledFunction = Demangler.demangle(frames[index].function)
        }
        return result
    }
}

/// One level of an inline chain.
public struct SourceFrame: Hashable, Sendable {
    /// The function's name: the linkage name where it has one (C++, Rust), `??` where it has none at all.
    public var function: String
    /// The name that `function` has in its source (``Demangler``); `nil` if it is the same, or demangling is off.
    public var demangledFunction: String?
    /// The source file, as the compiler wrote it down; `nil` if it is not known.
    public var file: String?
    /// The line in `file`; 0 when it is not known. In the innermost frame the line of the instruction, in the others
    /// the line of the call that was inlined.
    public var line: Int
    /// Whether this is a function inlined into the next frame.
    public var isInlined: Bool
    /// Bytes from the lowest address of this function's (or this inlined copy's) code; `nil` if that is not known.
    public var offset: UInt64?

    /// Makes a frame.
    public init(function: String, file: String?, line: Int, isInlined: Bool, offset: UInt64? = nil) {
        self.function = function
        self.file = file
        self.line = line
        self.isInlined = isInlined
        self.offset = offset
    }

    /// `function` as people read it: demangled, if demangling is on.
    public var displayedFunction: String { demangledFunction ?? function }

    /// `file.c:12`, with `?` for a line that is not known; `nil` without a file.
    public var place: String? { file.map { "\($0):\(line == 0 ? "?" : String(line))" } }
}

// SPDX-License-Identifier: GPL-2.0-or-later

/// A stretch of a file's code for which one source position and one function hold.
public struct CodePiece: Hashable, Sendable, BitwiseCopyable {
    /// Its first address, in the run.
    public var low: UInt64
    /// Exclusive.
    public var high: UInt64
    /// The source file, to be named by ``Symbolizer/text(_:module:)``; 0 where it is not known.
    public var file: UInt32
    /// 0 where it is not known.
    public var line: UInt32
    /// The innermost function, for ``Symbolizer/function(_:module:)``; `nil` if none is known.
    public var function: CodeFunction.ID?
}

/// A function with code of its own, or one copy of a function that was inlined.
public struct CodeFunction: Hashable, Sendable, BitwiseCopyable {
    /// Tells the functions and copies of a file apart.
    public struct ID: Hashable, Sendable, BitwiseCopyable {
        /// A node of DWARF; or, with the highest bit set, a function symbol where DWARF has none.
        var number: UInt32
    }

    /// Its linkage name or name, to be named by ``Symbolizer/text(_:module:)``; 0 when it has none.
    public var name: UInt32
    /// Where it is entered, in the run; of an inlined copy the lowest address.
    public var entry: UInt64
    /// What a copy was inlined into; `nil` for a function with code of its own.
    public var parent: ID?
    /// The file of `parent`'s source that the inlined call is in; 0 if it is not known.
    public var callFile: UInt32
    /// Its line; 0 where it is not known.
    public var callLine: UInt32
}

/// What a file says about all of its code, in order: for tools that must know what did not run, too.
extension Symbolizer {
    /// Calls `body` with the pieces of a module's code, ascending; not with those that an earlier module answers for.
    ///
    /// - Parameter module: An index into ``modules``; one that is not there has no pieces.
    public func forEachPiece(module: Int, _ body: (CodePiece) throws -> Void) rethrows {
        let modules = modules
        guard let table = table(module), modules.indices.contains(module) else { return }
        let (view, lookup, info) = (table.view, lookup, modules[module])
        let slide = UInt64(bitPattern: info.slide)
        // A damaged cache may say anything: pieces ascend and lie apart all the same.
        var reached: UInt64 = 0
        try view.forEachSegment { low, high, segment in
            guard segment != .empty, low &+ slide < high &+ slide else { return }
            let part = (low &+ slide..<high &+ slide).clamped(to: info.range)
            guard !part.isEmpty, part.lowerBound >= reached, lookup.find(part.lowerBound).module == UInt32(module)
            else {
                return
            }
            reached = part.upperBound
            try body(
                CodePiece(
                    low: part.lowerBound, high: part.upperBound, file: segment.file, line: segment.line,
                    function: view.functionID(segment)))
        }
        withExtendedLifetime(table) {}
    }

    /// What is known of a function.
    public func function(_ id: CodeFunction.ID, module: Int) -> CodeFunction? {
        let modules = modules
        guard let view = table(module)?.view, modules.indices.contains(module) else { return nil }
        let slide = UInt64(bitPattern: modules[module].slide)
        if id.number & CodeFunction.ID.symbolBit != 0 {
            return view.symbols[checked: id.number & ~CodeFunction.ID.symbolBit].map {
                CodeFunction(name: $0.name, entry: $0.address &+ slide, parent: nil, callFile: 0, callLine: 0)
            }
        }
        guard let node = view.nodes[checked: id.number] else { return nil }
        guard node.isInlined else {
            let entry = view.entry(of: id.number)
            return CodeFunction(name: node.name, entry: entry &+ slide, parent: nil, callFile: 0, callLine: 0)
        }
        return CodeFunction(
            name: node.name, entry: (view.lows[checked: id.number] ?? 0) &+ slide,
            parent: CodeFunction.ID(number: node.parent),
            callFile: node.callFile, callLine: node.callLine)
    }

    /// The name with a number of a module; bytes that are not UTF-8 come out repaired.
    public func text(_ id: UInt32, module: Int) -> String { table(module)?.view.name(id) ?? "" }
}

extension CodeFunction.ID {
    fileprivate static let symbolBit: UInt32 = 1 << 31
}

extension SymbolTable.View {
    fileprivate func functionID(_ segment: Segment) -> CodeFunction.ID? {
        if segment.node < CodeFunction.ID.symbolBit { return CodeFunction.ID(number: segment.node) }
        guard segment.symbol < CodeFunction.ID.symbolBit else { return nil }
        return CodeFunction.ID(number: segment.symbol | CodeFunction.ID.symbolBit)
    }
}

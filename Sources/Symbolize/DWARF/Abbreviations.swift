// SPDX-License-Identifier: GPL-2.0-or-later

/// The abbreviation tables of a file (DWARF 5, section 7.5.3), each parsed once and prepared so that entries nobody
/// asks for are passed over in few steps.
struct Abbreviations {
    /// What the walk does with entries of this kind.
    enum Interest: UInt8, BitwiseCopyable {
        case none
        /// Can contain functions, has no node of its own.
        case scope
        /// Can contain functions, in languages where functions stand in types.
        case type
        case function
        case inlined
    }

    struct Declaration: BitwiseCopyable {
        var code: UInt64
        var tag: UInt16
        var interest: Interest
        var hasChildren: Bool
        /// Bytes of all attribute values, or -1 where that differs from entry to entry.
        var fixedSize: Int32
        /// Where in the entry a four-byte sibling reference stands, or -1.
        var siblingAt: Int32
        var firstAttribute: UInt32
        var attributeCount: UInt32
        var firstStep: UInt32
        var stepCount: UInt32
    }

    struct Attribute: BitwiseCopyable {
        var name: UInt16
        var form: UInt16
        var implicit: Int64
    }

    /// One table: a run of `declarations`, ascending by code.
    struct Table: BitwiseCopyable {
        var first: UInt32
        var count: UInt32
        var shape: UnitShape
    }

    private struct Key: Hashable {
        var start: UnsafeRawPointer
        var shape: UnitShape
    }

    private(set) var declarations: [Declaration] = []
    private(set) var attributes: [Attribute] = []
    /// How to pass over entries of varying size: below 0x8000 a number of bytes, else one of the codes below.
    private(set) var steps: [UInt16] = []
    private var tables: [Key: Table?] = [:]
    /// How many bytes of abbreviations may still be parsed: tables could overlap without a bound otherwise.
    private var budget: Int

    static let stepLEB: UInt16 = 0x8000
    static let stepText: UInt16 = 0x8001
    static let stepBlock1: UInt16 = 0x8002
    static let stepBlock: UInt16 = 0x8003
    /// The form itself follows.
    static let stepForm: UInt16 = 0x8004

    init(budget: Int) {
        self.budget = budget
    }

    /// The table at an offset; `nil` when it is damaged.
    mutating func table(_ section: Bytes, at offset: UInt64, _ shape: UnitShape) -> Table? {
        let bytes = section.from(offset)
        let key = Key(start: bytes.start, shape: shape)
        if let known = tables[key] { return known }
        let made = parse(bytes, shape)
        tables[key] = .some(made)
        return made
    }

    @inline(__always)
    func find(_ code: UInt64, in table: Table) -> Declaration? {
        // Compilers number them 1, 2, 3, …
        let index = code &- 1
        if index < UInt64(table.count) {
            let declaration = declarations[Int(table.first) &+ Int(index)]
            if declaration.code == code { return declaration }
        }
        return search(code, in: table)
    }

    private func search(_ code: UInt64, in table: Table) -> Declaration? {
        var low = Int(table.first)
        let end = low &+ Int(table.count)
        var high = end
        while low < high {
            let middle = (low &+ high) / 2
            if declarations[middle].code < code { low = middle &+ 1 } else { high = middle }
        }
        return low < end && declarations[low].code == code ? declarations[low] : nil
    }

    private mutating func parse(_ bytes: Bytes, _ shape: UnitShape) -> Table? {
        let first = declarations.count
        var cursor = ByteCursor(bytes)
        var isAscending = true
        while true {
            let start = cursor.position
            let code = cursor.uleb()
            if code == 0 { break }
            let tag = UInt16(truncatingIfNeeded: cursor.uleb())
            let hasChildren = cursor.u8() != 0
            if declarations.count > first, declarations[declarations.count - 1].code >= code { isAscending = false }
            guard
                let made = parseAttributes(&cursor, code: code, tag: tag, hasChildren: hasChildren, shape)
            else { return nil }
            declarations.append(made)
            budget -= cursor.position - start
            guard budget > 0 else { return nil }
        }
        guard !cursor.isDamaged, declarations.count < Int(UInt32.max), attributes.count < Int(UInt32.max),
            steps.count < Int(UInt32.max)
        else { return nil }
        if !isAscending { declarations[first...].sort { $0.code < $1.code } }
        return Table(first: UInt32(first), count: UInt32(declarations.count - first), shape: shape)
    }

    private mutating func parseAttributes(
        _ cursor: inout ByteCursor, code: UInt64, tag: UInt16, hasChildren: Bool, _ shape: UnitShape
    ) -> Declaration? {
        var made = Declaration(
            code: code, tag: tag, interest: Abbreviations.interest(tag), hasChildren: hasChildren, fixedSize: 0,
            siblingAt: -1, firstAttribute: UInt32(truncatingIfNeeded: attributes.count), attributeCount: 0,
            firstStep: UInt32(truncatingIfNeeded: steps.count), stepCount: 0)
        var pending = 0
        var hasCode = false
        func flush(_ steps: inout [UInt16]) {
            while pending > 0 {
                let part = min(pending, 0x7fff)
                steps.append(UInt16(part))
                pending -= part
            }
        }
        while true {
            let name = cursor.uleb()
            let form = cursor.uleb()
            let implicit = form == UInt64(DWARF.Form.implicitConst) ? cursor.sleb() : 0
            guard !cursor.isDamaged else { return nil }
            if name == 0 && form == 0 { break }
            guard let form = UInt16(exactly: form) else { return nil }
            let name16 = UInt16(exactly: name) ?? .max
            attributes.append(Attribute(name: name16, form: form, implicit: implicit))
            made.attributeCount &+= 1
            if name16 == DWARF.Attribute.lowPC || name16 == DWARF.Attribute.ranges { hasCode = true }
            if name16 == DWARF.Attribute.sibling, form == DWARF.Form.ref4, made.fixedSize >= 0 {
                made.siblingAt = made.fixedSize
            }
            let size = FormSize(form, shape)
            if case .fixed(let count) = size {
                pending += Int(count)
                if made.fixedSize >= 0 { made.fixedSize &+= Int32(count) }
                guard pending < 1 << 24 else { return nil }
                continue
            }
            made.fixedSize = -1
            flush(&steps)
            switch size {
            case .leb: steps.append(Abbreviations.stepLEB)
            case .text: steps.append(Abbreviations.stepText)
            case .block(1): steps.append(Abbreviations.stepBlock1)
            case .block(0): steps.append(Abbreviations.stepBlock)
            default: steps += [Abbreviations.stepForm, form]
            }
        }
        flush(&steps)
        made.stepCount = UInt32(truncatingIfNeeded: steps.count) &- made.firstStep
        // Declarations, and the descriptions that copies refer to.
        if !hasCode, made.interest == .function || made.interest == .inlined { made.interest = .none }
        return made
    }

    private static func interest(_ tag: UInt16) -> Interest {
        switch tag {
        case DWARF.Tag.subprogram: .function
        case DWARF.Tag.inlinedSubroutine: .inlined
        case DWARF.Tag.lexicalBlock, DWARF.Tag.namespace, DWARF.Tag.module, DWARF.Tag.tryBlock, DWARF.Tag.catchBlock:
            .scope
        case DWARF.Tag.structureType, DWARF.Tag.classType, DWARF.Tag.unionType, DWARF.Tag.enumerationType,
            DWARF.Tag.interfaceType:
            .type
        default: .none
        }
    }

    /// Passes over the attribute values of one entry.
    @inline(__always)
    func skip(_ declaration: Declaration, _ cursor: inout ByteCursor, _ shape: UnitShape) {
        if declaration.fixedSize >= 0 {
            cursor.skip(Int(declaration.fixedSize))
        } else {
            skipSteps(declaration, &cursor, shape)
        }
    }

    private func skipSteps(_ declaration: Declaration, _ cursor: inout ByteCursor, _ shape: UnitShape) {
        steps.withUnsafeBufferPointer { steps in
            var index = Int(declaration.firstStep)
            let end = index &+ Int(declaration.stepCount)
            while index < end {
                let step = steps[index]
                index &+= 1
                switch step {
                case Abbreviations.stepLEB: cursor.skipLEB()
                case Abbreviations.stepText: _ = cursor.string()
                case Abbreviations.stepBlock1: cursor.skip(cursor.u8())
                case Abbreviations.stepBlock: cursor.skip(cursor.uleb())
                case Abbreviations.stepForm:
                    cursor.skip(form: steps[index], shape)
                    index &+= 1
                default: cursor.skip(Int(step))
                }
            }
        }
    }
}

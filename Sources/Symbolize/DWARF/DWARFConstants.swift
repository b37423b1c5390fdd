// SPDX-License-Identifier: GPL-2.0-or-later

/// The constants of DWARF that are used here (DWARF 5, chapter 7; GNU extensions from GCC's dwarf2.h).
enum DWARF {
    enum Tag {
        static let classType: UInt16 = 0x02
        static let lexicalBlock: UInt16 = 0x0b
        static let compileUnit: UInt16 = 0x11
        static let structureType: UInt16 = 0x13
        static let unionType: UInt16 = 0x17
        static let inlinedSubroutine: UInt16 = 0x1d
        static let module: UInt16 = 0x1e
        static let enumerationType: UInt16 = 0x04
        static let subprogram: UInt16 = 0x2e
        static let catchBlock: UInt16 = 0x25
        static let tryBlock: UInt16 = 0x32
        static let namespace: UInt16 = 0x39
        static let interfaceType: UInt16 = 0x38
        static let skeletonUnit: UInt16 = 0x4a
    }

    enum Attribute {
        static let sibling: UInt16 = 0x01
        static let name: UInt16 = 0x03
        static let lineProgram: UInt16 = 0x10
        static let lowPC: UInt16 = 0x11
        static let highPC: UInt16 = 0x12
        static let language: UInt16 = 0x13
        static let compilationDirectory: UInt16 = 0x1b
        static let abstractOrigin: UInt16 = 0x31
        static let specification: UInt16 = 0x47
        static let ranges: UInt16 = 0x55
        static let callFile: UInt16 = 0x58
        static let callLine: UInt16 = 0x59
        static let linkageName: UInt16 = 0x6e
        static let stringOffsetsBase: UInt16 = 0x72
        static let addressBase: UInt16 = 0x73
        static let rangeListsBase: UInt16 = 0x74
        static let splitName: UInt16 = 0x76
        static let mipsLinkageName: UInt16 = 0x2007
        static let gnuSplitName: UInt16 = 0x2130
        static let gnuSplitID: UInt16 = 0x2131
        static let gnuRangesBase: UInt16 = 0x2132
        static let gnuAddressBase: UInt16 = 0x2133
    }

    enum Form {
        static let addr: UInt16 = 0x01
        static let block2: UInt16 = 0x03
        static let block4: UInt16 = 0x04
        static let data2: UInt16 = 0x05
        static let data4: UInt16 = 0x06
        static let data8: UInt16 = 0x07
        static let string: UInt16 = 0x08
        static let block: UInt16 = 0x09
        static let block1: UInt16 = 0x0a
        static let data1: UInt16 = 0x0b
        static let flag: UInt16 = 0x0c
        static let sdata: UInt16 = 0x0d
        static let strp: UInt16 = 0x0e
        static let udata: UInt16 = 0x0f
        static let refAddr: UInt16 = 0x10
        static let ref1: UInt16 = 0x11
        static let ref2: UInt16 = 0x12
        static let ref4: UInt16 = 0x13
        static let ref8: UInt16 = 0x14
        static let refUdata: UInt16 = 0x15
        static let indirect: UInt16 = 0x16
        static let secOffset: UInt16 = 0x17
        static let exprloc: UInt16 = 0x18
        static let flagPresent: UInt16 = 0x19
        static let strx: UInt16 = 0x1a
        static let addrx: UInt16 = 0x1b
        static let refSup4: UInt16 = 0x1c
        static let strpSup: UInt16 = 0x1d
        static let data16: UInt16 = 0x1e
        static let lineStrp: UInt16 = 0x1f
        static let refSig8: UInt16 = 0x20
        static let implicitConst: UInt16 = 0x21
        static let loclistx: UInt16 = 0x22
        static let rnglistx: UInt16 = 0x23
        static let refSup8: UInt16 = 0x24
        static let strx1: UInt16 = 0x25
        static let strx2: UInt16 = 0x26
        static let strx3: UInt16 = 0x27
        static let strx4: UInt16 = 0x28
        static let addrx1: UInt16 = 0x29
        static let addrx2: UInt16 = 0x2a
        static let addrx3: UInt16 = 0x2b
        static let addrx4: UInt16 = 0x2c
        static let gnuAddrIndex: UInt16 = 0x1f01
        static let gnuStrIndex: UInt16 = 0x1f02
        static let gnuRefAlt: UInt16 = 0x1f20
        static let gnuStrpAlt: UInt16 = 0x1f21
    }
}

/// How long a unit's offsets and addresses are: what the size of a form depends on.
struct UnitShape: Hashable, Sendable, BitwiseCopyable {
    var version: UInt8
    /// 4 in 32-bit DWARF, 8 in 64-bit DWARF.
    var offsetSize: UInt8
    var addressSize: UInt8
}

/// How many bytes an attribute value takes.
enum FormSize {
    case fixed(UInt8)
    case leb
    case text
    /// A block behind its length: 1, 2 or 4 bytes, or 0 for a LEB128.
    case block(UInt8)
    case indirect
    case unknown

    init(_ form: UInt16, _ shape: UnitShape) {
        typealias Form = DWARF.Form
        switch form {
        case Form.flagPresent, Form.implicitConst: self = .fixed(0)
        case Form.data1, Form.flag, Form.ref1, Form.strx1, Form.addrx1: self = .fixed(1)
        case Form.data2, Form.ref2, Form.strx2, Form.addrx2: self = .fixed(2)
        case Form.strx3, Form.addrx3: self = .fixed(3)
        case Form.data4, Form.ref4, Form.strx4, Form.addrx4, Form.refSup4: self = .fixed(4)
        case Form.data8, Form.ref8, Form.refSig8, Form.refSup8: self = .fixed(8)
        case Form.data16: self = .fixed(16)
        case Form.addr: self = .fixed(shape.addressSize)
        case Form.refAddr: self = .fixed(shape.version < 3 ? shape.addressSize : shape.offsetSize)
        case Form.strp, Form.lineStrp, Form.secOffset, Form.strpSup, Form.gnuStrpAlt, Form.gnuRefAlt:
            self = .fixed(shape.offsetSize)
        case Form.sdata, Form.udata, Form.refUdata, Form.strx, Form.addrx, Form.loclistx, Form.rnglistx,
            Form.gnuAddrIndex, Form.gnuStrIndex:
            self = .leb
        case Form.string: self = .text
        case Form.block1: self = .block(1)
        case Form.block2: self = .block(2)
        case Form.block4: self = .block(4)
        case Form.block, Form.exprloc: self = .block(0)
        case Form.indirect: self = .indirect
        default: self = .unknown
        }
    }
}

/// An attribute's form and its number: a constant, an address, an offset, an index; for a string that stands in the
/// entry itself its address in memory, for a block nothing. Form 0: the attribute is not there.
struct RawValue: BitwiseCopyable {
    var form: UInt16 = 0
    var number: UInt64 = 0

    var isPresent: Bool { form != 0 }
}

extension ByteCursor {
    /// Passes over one attribute value.
    mutating func skip(form: UInt16, _ shape: UnitShape) {
        switch FormSize(form, shape) {
        case .fixed(let size): skip(Int(size))
        case .leb: skipLEB()
        case .text: _ = string()
        case .block(let size): skip(size == 0 ? uleb() : number(size: size))
        case .indirect:
            let inner = UInt16(truncatingIfNeeded: uleb())
            // One level only: more is damage.
            if inner == DWARF.Form.indirect { skip(Int.max) } else { skip(form: inner, shape) }
        case .unknown: skip(Int.max)
        }
    }

    /// Reads one attribute value.
    mutating func value(form: UInt16, implicit: Int64, _ shape: UnitShape) -> RawValue {
        switch FormSize(form, shape) {
        case .fixed(0):
            return RawValue(
                form: form, number: form == DWARF.Form.implicitConst ? UInt64(bitPattern: implicit) : 1)
        case .fixed(3): return RawValue(form: form, number: u24())
        case .fixed(16):
            skip(16)
            return RawValue(form: form)
        case .fixed(let size): return RawValue(form: form, number: number(size: size))
        case .leb:
            let isSigned = form == DWARF.Form.sdata
            return RawValue(form: form, number: isSigned ? UInt64(bitPattern: sleb()) : uleb())
        case .text: return RawValue(form: form, number: UInt64(UInt(bitPattern: string())))
        case .block, .unknown:
            skip(form: form, shape)
            return RawValue(form: form)
        case .indirect:
            let inner = UInt16(truncatingIfNeeded: uleb())
            guard inner != DWARF.Form.indirect, inner != DWARF.Form.implicitConst else {
                skip(Int.max)
                return RawValue()
            }
            return value(form: inner, implicit: 0, shape)
        }
    }
}

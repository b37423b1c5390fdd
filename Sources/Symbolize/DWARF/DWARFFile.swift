// SPDX-License-Identifier: GPL-2.0-or-later

/// The debug sections of a file, and where its units begin.
///
/// The same type serves a program, a .dwo file, one unit's part of a .dwp file, and a dwz alternate file; where split
/// units refer to sections of the program (addresses, version 4 ranges), those stand here too.
final class DWARFFile: Sendable {
    let path: String
    let info: Bytes
    let abbreviations: Bytes
    let line: Bytes
    let lineStrings: Bytes
    let strings: Bytes
    let stringOffsets: Bytes
    let addresses: Bytes
    let ranges: Bytes
    let rangeLists: Bytes
    /// The file that dwz moved common parts to.
    let alternate: DWARFFile?
    /// Whether this holds split units: bases are then implied, not attributes.
    let isSplit: Bool
    let units: [UnitHeader]
    /// Whether the unit headers could not be followed to the end of the section.
    let isCutShort: Bool
    /// Keeps what the bytes belong to.
    private let owners: [ELFImage]

    /// The sections of a program, a debug file or an alternate file.
    init(_ image: ELFImage, alternate: DWARFFile? = nil) {
        path = image.path
        info = image.debugSection(".debug_info")
        abbreviations = image.debugSection(".debug_abbrev")
        line = image.debugSection(".debug_line")
        lineStrings = image.debugSection(".debug_line_str")
        strings = image.debugSection(".debug_str")
        stringOffsets = image.debugSection(".debug_str_offsets")
        addresses = image.debugSection(".debug_addr")
        ranges = image.debugSection(".debug_ranges")
        rangeLists = image.debugSection(".debug_rnglists")
        self.alternate = alternate
        isSplit = false
        owners = [image]
        (units, isCutShort) = UnitHeader.scan(info)
    }

    /// Split units: `section` gives the bytes of a section by its name without `.dwo`.
    init(split image: ELFImage, of program: DWARFFile, section: (String) -> Bytes) {
        path = image.path
        info = section(".debug_info")
        abbreviations = section(".debug_abbrev")
        line = section(".debug_line")
        lineStrings = program.lineStrings
        strings = section(".debug_str")
        stringOffsets = section(".debug_str_offsets")
        addresses = program.addresses
        ranges = program.ranges
        rangeLists = section(".debug_rnglists")
        alternate = program.alternate
        isSplit = true
        owners = program.owners + [image]
        (units, isCutShort) = UnitHeader.scan(info)
    }

    /// The unit that contains an offset of `.debug_info`.
    func unit(containing offset: UInt64) -> UnitHeader? {
        var low = 0
        var high = units.count
        while low < high {
            let middle = (low &+ high) / 2
            if units[middle].start <= offset { low = middle &+ 1 } else { high = middle }
        }
        guard low > 0, offset < units[low - 1].end else { return nil }
        return units[low - 1]
    }
}

/// The header of a unit (DWARF 5, section 7.5.1). Offsets are into `.debug_info`.
struct UnitHeader: Sendable, BitwiseCopyable {
    enum Kind {
        static let compile: UInt8 = 1
        static let type: UInt8 = 2
        static let partial: UInt8 = 3
        static let skeleton: UInt8 = 4
        static let splitCompile: UInt8 = 5
        static let splitType: UInt8 = 6
    }

    var start: UInt64
    var end: UInt64
    /// Where the first entry stands.
    var entries: UInt64
    var abbreviations: UInt64
    var kind: UInt8
    var shape: UnitShape
    /// What a skeleton and its split unit have in common (version 5; before, it is an attribute).
    var splitID: UInt64

    /// All units of a section; `isCutShort` when a header makes no sense.
    static func scan(_ info: Bytes) -> (units: [UnitHeader], isCutShort: Bool) {
        var units: [UnitHeader] = []
        var offset: UInt64 = 0
        while offset < UInt64(info.count) {
            guard let length = unitLength(info, offset), length.end > offset else { return (units, true) }
            if let unit = UnitHeader(info, offset, length) { units.append(unit) }
            offset = length.end
        }
        return (units, false)
    }

    /// A unit's length field: what follows it, and the size of offsets.
    static func unitLength(_ section: Bytes, _ offset: UInt64) -> (body: UInt64, end: UInt64, offsetSize: UInt8)? {
        guard let short: UInt32 = section.load(offset) else { return nil }
        let body: UInt64
        let length: UInt64
        if short == .max {
            guard let long: UInt64 = section.load(offset &+ 4) else { return nil }
            (body, length) = (offset &+ 12, long)
        } else {
            guard short < 0xffff_fff0 else { return nil }
            (body, length) = (offset &+ 4, UInt64(short))
        }
        guard body <= UInt64(section.count), length <= UInt64(section.count) &- body else { return nil }
        return (body, body &+ length, short == .max ? 8 : 4)
    }

    private init?(_ info: Bytes, _ start: UInt64, _ length: (body: UInt64, end: UInt64, offsetSize: UInt8)) {
        guard let area = info.slice(length.body, length.end &- length.body) else { return nil }
        var cursor = ByteCursor(area)
        let version = cursor.u16()
        guard version >= 2, version <= 5 else { return nil }
        var addressSize: UInt64
        splitID = 0
        if version >= 5 {
            kind = UInt8(truncatingIfNeeded: cursor.u8())
            addressSize = cursor.u8()
            abbreviations = cursor.number(size: length.offsetSize)
            switch kind {
            case Kind.skeleton, Kind.splitCompile: splitID = cursor.u64()
            case Kind.type, Kind.splitType: cursor.skip(8 + Int(length.offsetSize))
            default: break
            }
        } else {
            kind = Kind.compile
            abbreviations = cursor.number(size: length.offsetSize)
            addressSize = cursor.u8()
        }
        guard !cursor.isDamaged, addressSize == 4 || addressSize == 8 || addressSize == 2 else { return nil }
        self.start = start
        end = length.end
        entries = length.body &+ UInt64(cursor.position - area.start)
        shape = UnitShape(
            version: UInt8(version), offsetSize: length.offsetSize, addressSize: UInt8(addressSize))
    }
}

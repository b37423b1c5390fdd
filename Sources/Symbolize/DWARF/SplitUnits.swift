// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Finds the split units of a program: in the package `PROGRAM.dwp` where there is one, else in the .dwo files that the
/// program names (DWARF 5, section 7.3.2; GCC's DebugFission for version 4).
final class SplitUnits: Sendable {
    private let package: SplitPackage?
    /// Directories where .dwo files may have been moved to.
    private let directories: [String]
    private let machine: UInt16

    /// - Parameter programs: The program and its separate debug file: what stands beside either is found.
    init(programs: [ELFImage], machine: UInt16) {
        self.machine = machine
        directories = programs.map { directoryName($0.path) }
        package = SplitUnits.packagePath(programs: programs).flatMap { SplitPackage(path: $0, machine: machine) }
    }

    /// The package that stands beside a program or its debug file.
    static func packagePath(programs: [ELFImage]) -> String? {
        for program in programs {
            var names = [program.path + ".dwp"]
            if program.path.hasSuffix(".debug") { names.append(program.path.dropLast(6) + ".dwp") }
            for name in names where MappedFile.exists(name) { return name }
        }
        return nil
    }

    /// The split unit behind a skeleton.
    func find(
        _ skeleton: Unit, of program: DWARFFile, _ abbreviations: inout Abbreviations
    ) -> (DWARFFile, UnitHeader)? {
        if let package, let found = package.find(skeleton, of: program) { return found }
        guard let text = skeleton.splitName else { return nil }
        let name = String(cString: text)
        for path in paths(name, directory: skeleton.directory.map { String(cString: $0) }) {
            guard MappedFile.exists(path),
                let image = try? ELFImage(path: path, machine: machine, role: .splitUnits)
            else { continue }
            let file = DWARFFile(split: image, of: program) { image.debugSection($0 + ".dwo") }
            for header in file.units where matches(header, skeleton, file, &abbreviations) { return (file, header) }
        }
        return nil
    }

    private func paths(_ name: String, directory: String?) -> [String] {
        var paths: [String] = []
        if name.hasPrefix("/") { paths.append(name) } else if let directory { paths.append("\(directory)/\(name)") }
        let base = name.split(separator: "/").last.map(String.init) ?? name
        for directory in directories {
            if !name.hasPrefix("/") { paths.append("\(directory)/\(name)") }
            paths.append("\(directory)/\(base)")
        }
        return paths
    }

    /// Whether this is the unit that the skeleton means: a .dwo file may be of another build.
    private func matches(
        _ header: UnitHeader, _ skeleton: Unit, _ file: DWARFFile, _ abbreviations: inout Abbreviations
    ) -> Bool {
        if header.shape.version >= 5 {
            return header.kind == UnitHeader.Kind.splitCompile && header.splitID == skeleton.splitID
        }
        guard let unit = Unit(header, in: file, &abbreviations, skeleton: skeleton) else { return false }
        return unit.tag == DWARF.Tag.compileUnit && unit.splitID == skeleton.splitID
    }
}

/// A .dwp file: many .dwo files put together, with an index (DWARF 5, section 7.3.5; version 2 of the index is GNU's).
final class SplitPackage: Sendable {
    private let image: ELFImage
    private let index: Bytes
    private let columns: [UInt32]
    private let strings: Bytes
    private let sections: [String: Bytes]
    private let rowCount: UInt64
    private let slotCount: UInt64
    private let version: UInt16

    /// `nil` when the file cannot be used.
    init?(path: String, machine: UInt16) {
        guard let image = try? ELFImage(path: path, machine: machine, role: .splitUnits) else { return nil }
        self.image = image
        index = image.debugSection(".debug_cu_index")
        guard let version: UInt16 = index.load(0), version == 2 || version == 5,
            let columnCount: UInt32 = index.load(4), columnCount > 0, columnCount <= 16,
            let rows: UInt32 = index.load(8), let slots: UInt32 = index.load(12), slots.nonzeroBitCount == 1
        else { return nil }
        self.version = version
        (rowCount, slotCount) = (UInt64(rows), UInt64(slots))
        let header = 16 &+ slotCount &* 12
        var columns: [UInt32] = []
        for column in 0..<UInt64(columnCount) {
            guard let kind: UInt32 = index.load(header &+ column &* 4) else { return nil }
            columns.append(kind)
        }
        self.columns = columns
        strings = image.debugSection(".debug_str.dwo")
        var sections: [String: Bytes] = [:]
        for name in SplitPackage.sections { sections[name] = image.debugSection(name + ".dwo") }
        self.sections = sections
    }

    private static let sections = [
        ".debug_info", ".debug_abbrev", ".debug_line", ".debug_str_offsets", ".debug_rnglists",
    ]

    /// The column of a section; the numbers differ between the versions of the index.
    private func column(_ name: String) -> Int? {
        let kind: UInt32? =
            switch name {
            case ".debug_info": 1
            case ".debug_abbrev": 3
            case ".debug_line": 4
            case ".debug_str_offsets": 6
            case ".debug_rnglists": version == 5 ? 8 : nil
            default: nil
            }
        return columns.firstIndex { $0 == kind }
    }

    func find(_ skeleton: Unit, of program: DWARFFile) -> (DWARFFile, UnitHeader)? {
        guard skeleton.splitID != 0, let row = row(of: skeleton.splitID) else { return nil }
        let file = DWARFFile(split: image, of: program) {
            $0 == ".debug_str" ? strings : contribution($0, row: row)
        }
        guard
            let header = file.units.first(where: {
                $0.shape.version < 5 || ($0.kind == UnitHeader.Kind.splitCompile && $0.splitID == skeleton.splitID)
            })
        else { return nil }
        return (file, header)
    }

    /// The row of a unit, from 1 on: a hash table with open addressing.
    private func row(of id: UInt64) -> UInt64? {
        let mask = slotCount &- 1
        var slot = id & mask
        let step = (id >> 32 & mask) | 1
        for _ in 0..<slotCount {
            guard let row: UInt32 = index.load(16 &+ slotCount &* 8 &+ slot &* 4), row > 0 else { return nil }
            if index.load(16 &+ slot &* 8) == id { return UInt64(row) <= rowCount ? UInt64(row) : nil }
            slot = (slot &+ step) & mask
        }
        return nil
    }

    private func contribution(_ name: String, row: UInt64) -> Bytes {
        guard let column = column(name) else { return .empty }
        let width = UInt64(columns.count) &* 4
        let offsets = 16 &+ slotCount &* 12 &+ width
        let at = (row &- 1) &* width &+ UInt64(column) &* 4
        guard let offset: UInt32 = index.load(offsets &+ at),
            let size: UInt32 = index.load(offsets &+ rowCount &* width &+ at)
        else { return .empty }
        return sections[name]?.slice(UInt64(offset), UInt64(size)) ?? .empty
    }
}

/// The directory that a path's last part stands in.
func directoryName(_ path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

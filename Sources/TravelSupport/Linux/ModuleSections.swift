// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import Symbolize
import ToolSupport

// Where the sections of kernel modules are: read from a guest, kept in a list, and given to gdb.

extension LinuxGuest {
    /// Sections of a module, at most.
    private static let mostSections: UInt64 = 256

    /// What the guest shows in /sys/module/NAME/sections (kernel/module/sysfs.c of Linux 6.1: `struct module_sect_attrs`);
    /// empty where the kernel's file has another layout.
    func sections(ofModuleAt module: UInt64, _ layout: KernelLayout) -> [String: UInt64] {
        // The array of sections is at the end of its structure.
        guard let member = layout.offset("module", "sect_attrs"),
            let name = layout.offset("module_sect_attr", "battr.attr.name"),
            let address = layout.offset("module_sect_attr", "address"),
            let number = layout.offset("module_sect_attrs", "nsections"),
            let head = layout.structures["module_sect_attrs"]?.size,
            let size = layout.structures["module_sect_attr"]?.size,
            let list = tables.value(at: module &+ member), list != 0,
            let count = tables.value(at: list &+ number, bytes: 4), count <= LinuxGuest.mostSections
        else { return [:] }
        var found: [String: UInt64] = [:]
        for index in 0..<count {
            let entry = list &+ head &+ index &* size
            guard let place = tables.value(at: entry &+ name), let text = tables.text(at: place, limit: 64),
                ModuleSections.isName(text), let value = tables.value(at: entry &+ address)
            else { continue }
            found[text] = value
        }
        return found
    }
}

/// The names of sections.
enum ModuleSections {
    /// Whether a section's name can be in a list of modules and in a command of gdb.
    static func isName(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}

extension GuestModule {
    /// Its lines in a list of modules: that of /proc/modules, and one for each section.
    var lines: String {
        ([line] + sections.sorted { $0.key < $1.key }.map { "/sys/module/\(name)/sections/\($0.key):\($0.value)" })
            .map { $0 + "\n" }.joined()
    }
}

extension TravelRun {
    /// The list of kernel modules that the options name, or that the run's directory has.
    static func modules(_ options: SymbolOptions, _ log: LogFile) throws -> [ModuleList.Entry] {
        guard let (directory, list) = options.moduleFiles(for: log) else { return [] }
        return try ModuleList(path: list ?? "\(directory)/\(KernelModules.listName)").entries
    }

    /// The addresses of a module's sections, as gdb's add-symbol-file takes them; nil if the list has none. Sections of the
    /// module's initialisation are left out: the guest has freed them, and other modules may be there.
    func sections(of module: ModuleInfo) -> String? {
        let file = module.path.split(separator: "/").last ?? ""
        let name = String(file.prefix { $0 != "." }).replacing("-", with: "_")
        guard let entry = modules.first(where: { $0.name == name }) else { return nil }
        let sections = entry.sections.filter {
            $0.value != 0 && !$0.key.hasPrefix(".init") && ModuleSections.isName($0.key)
        }
        guard let text = sections[".text"] ?? entry.address, text != 0 else { return nil }
        func hexadecimal(_ value: UInt64) -> String { "0x\(String(value, radix: 16))" }
        let others = sections.filter { $0.key != ".text" }.sorted { $0.key < $1.key }
        return hexadecimal(text) + others.map { " -s \($0.key) \(hexadecimal($0.value))" }.joined()
    }
}

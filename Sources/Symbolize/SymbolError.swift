// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Glibc

/// What is wrong with a symbol file, with the evidence.
///
/// Thrown by ``Symbolizer/add(_:slide:range:machine:)`` when a file is of no use at all; kept in
/// ``ModuleInfo/warnings`` when it can still serve in part.
public struct SymbolError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file, as it was given.
    public var file: String
    /// What is wrong with it.
    public var kind: Kind

    /// The kinds of trouble.
    public enum Kind: Hashable, Sendable {
        /// The file cannot be opened or read: an `errno`.
        case cannotOpen(errno: Int32)
        /// The path is that of a directory.
        case directory
        /// The path is that of neither a file nor a directory.
        case notRegular
        /// The file does not begin as an ELF file does; the first bytes that it has instead.
        case notELF(firstBytes: [UInt8])
        /// The file is a Linux boot image (bzImage): compressed code, no symbols.
        case bootImage
        /// The ELF header makes no sense; what of it.
        case damagedELF(String)
        /// The file is an object file or a core dump (`e_type`): its addresses are not those of a run.
        case notLinked(type: UInt16)
        /// The file is for another processor (`e_machine`).
        case wrongMachine(expected: Machine, found: Machine)
        /// The file has no code: a list of symbols, or a separate debug file. (A warning.)
        case noCode
        /// The file, and so many others, are kernel modules, whose code the kernel changed when it loaded them. (A warning.)
        case noModuleCode(others: Int)
        /// The text is no list of kernel modules.
        case noModules
        /// The list of kernel modules has addresses of 0 only, as users without the right see it.
        case hiddenModules
        /// The kernel module has compressed debug sections: the first one.
        case compressedModule(section: String)
        /// The file has neither function symbols nor DWARF.
        case noSymbols
        /// The file has function symbols, but no DWARF: there will be no source lines. (A warning.)
        case noDWARF
        /// Not all of the DWARF could be read: units read only in part, and what was found. (A warning.)
        case damagedDWARF(units: Int, message: String)
        /// The file describes addresses that another file, given before, describes too; that one wins. (A warning.)
        case overlaps(other: String, from: UInt64, to: UInt64)
        /// A debug file found through `.gnu_debuglink` has another CRC-32 than the link says; it is not used. (A warning.)
        case wrongChecksum(expected: UInt32, found: UInt32)
        /// A debug file is of another build (GNU build IDs, hexadecimal); it is not used. (A warning.)
        case wrongBuildID(expected: String, found: String)
        /// The file that dwz moved common debug information to was not found; names are missing. (A warning.)
        case noAlternate(String)
        /// Split units (.dwo) that were not found: how many, and the first name. (A warning.)
        case missingSplitUnits(count: Int, first: String)
        /// A package of split units (.dwp), which libdw does not read. (A warning.)
        case splitPackage
        /// Compressed debug sections that libelf cannot inflate. (A warning.)
        case damagedCompression(sections: [String])
        /// Lines of a text of symbols (System.map) that are not `ADDRESS LETTER NAME`. (A warning.)
        case badSymbolLines(count: Int)
        /// A text of symbols whose addresses are all 0, as /proc/kallsyms shows them to users without the right.
        case hiddenAddresses
        /// The cache of symbol tables cannot be used: where, and an `errno`. (A warning.)
        case cacheUnavailable(errno: Int32)
        /// The file's compressed sections inflate to more than real debug information does; they are not read. (A warning,
        /// unless the file has nothing else.)
        case inflates(bytes: UInt64, limit: UInt64)
        /// The program's MiniDebugInfo (`.gnu_debugdata`) cannot be read: what is wrong with it. (A warning.)
        case damagedMiniDebugInfo(String)
        /// The file is larger than any symbol file, or has holes in nearly all of it.
        case tooLarge(bytes: UInt64)
        /// The file became shorter or was written to while it was read.
        case changed
        /// The line programs of the file are larger than any compiler makes them for that much code. (A warning.)
        case excessiveLines(bytes: Int, limit: Int)
        /// The argument is not `FILE[@ADDRESS|+SLIDE][,FROM:TO]`; the part that cannot be read.
        case badArgument(String)
    }

    /// Whether it is of the same kind, other numbers aside.
    func isLike(_ other: SymbolError) -> Bool {
        switch (kind, other.kind) {
        case (.damagedDWARF, .damagedDWARF), (.missingSplitUnits, .missingSplitUnits): file == other.file
        default: self == other
        }
    }

    /// Makes an error.
    public init(file: String, kind: Kind) {
        self.file = file
        self.kind = kind
    }

    /// The file and a sentence about it.
    public var description: String { "\(file): \(explanation)" }

    var explanation: String {
        switch kind {
        case .cannotOpen(let code):
            "cannot be opened: \(String(cString: strerror(code)))"
        case .directory:
            "is a directory; expected an ELF file (a kernel's vmlinux, a program built with -g)"
        case .notRegular:
            "is not a regular file; expected an ELF file"
        case .notELF(let bytes):
            bytes.isEmpty
                ? "is empty; expected an ELF file"
                : "is not an ELF file: expected 7f 45 4c 46 at offset 0, found \(hexList(bytes))"
        case .bootImage:
            "is a compressed boot image without symbols; give the vmlinux that it was made from "
                + "(Debian: package linux-image-…-dbg, /usr/lib/debug/boot/vmlinux-…)"
        case .damagedELF(let message):
            "is a damaged ELF file: \(message)"
        case .notLinked(let type):
            "is \(typeName(type)): its addresses are not those of a run; give the linked program or kernel"
                + (type == 1 ? ", or for a kernel module where it was loaded: FILE@ADDRESS" : "")
        case .wrongMachine(let expected, let found):
            "is for another processor: expected \(expected) (\(expected.rawValue)), found \(found) (\(found.rawValue))"
        case .noCode:
            "has no code (a list of symbols, or a separate debug file): no instructions from it; "
                + "give the program or kernel itself"
        case .noModuleCode(let others):
            "is a kernel module\(others > 0 ? ", as are \(others) other files" : ""): the kernel changes a module's code "
                + "when it loads it, so none is used"
        case .noModules:
            "is no list of kernel modules; expected the text of /proc/modules, or of grep . /sys/module/*/sections/*"
        case .hiddenModules:
            "has no addresses, all are 0; read /proc/modules as root with kernel.kptr_restrict at 0 or 1"
        case .compressedModule(let section):
            "is a kernel module with compressed DWARF (\(section)), which cannot be relocated; "
                + "objcopy --decompress-debug-sections makes it whole"
        case .noSymbols:
            "has neither function symbols nor DWARF (stripped?); give the file before it was stripped"
        case .noDWARF:
            "has no DWARF: functions only, no source lines; build it with -g or give its debug file"
        case .damagedDWARF(let units, let message):
            "has damaged DWARF: \(units) unit\(units == 1 ? "" : "s") read only in part (\(message))"
        case .overlaps(let other, let from, let to):
            "and \(other) both describe \(hexadecimal(from)):\(hexadecimal(to)); \(other), given first, wins there. "
                + "Restrict one with FILE,FROM:TO"
        case .wrongChecksum(let expected, let found):
            "is not the debug file that .gnu_debuglink asks for: expected CRC \(hexadecimal(UInt64(expected))), "
                + "found \(hexadecimal(UInt64(found))); it is not used"
        case .wrongBuildID(let expected, let found):
            "is the debug file of another build: expected build ID \(expected), found \(found); it is not used"
        case .noAlternate(let name):
            "refers to the dwz file \(name), which was not found or is of another build: names may be missing"
        case .missingSplitUnits(let count, let first):
            "has \(count) split unit\(count == 1 ? "" : "s") whose .dwo file was not found (\(first)): no functions there; "
                + "put it back where the build left it, or build without -gsplit-dwarf"
        case .splitPackage:
            "is a package of split units, which the installed libdw cannot read; give the .dwo files that it was made "
                + "from, or build without -gsplit-dwarf"
        case .damagedCompression(let sections):
            "has compressed sections that cannot be inflated (damaged, or of an unknown method): "
                + sections.joined(separator: ", ")
        case .badSymbolLines(let count):
            "has \(count) line\(count == 1 ? "" : "s") that \(count == 1 ? "is" : "are") not ADDRESS LETTER NAME"
        case .hiddenAddresses:
            "has no addresses, all are 0; read /proc/kallsyms as root with kernel.kptr_restrict at 0 or 1"
        case .cacheUnavailable(let code):
            "cannot keep symbol tables (\(String(cString: strerror(code)))): each run reads the file anew; "
                + "set XDG_CACHE_HOME to a directory that can be written"
        case .inflates(let bytes, let limit):
            "has compressed sections of \(bytes) bytes, more than the \(limit) that a file of its size may have; they are "
                + "not read"
        case .damagedMiniDebugInfo(let problem):
            "has damaged MiniDebugInfo (.gnu_debugdata): \(problem); its local functions have no names"
        case .tooLarge(let bytes):
            "is too large for a symbol file, or sparse: \(bytes) bytes"
        case .changed:
            "was changed or became shorter while it was read; names from it would be wrong: read it again"
        case .excessiveLines(let bytes, let limit):
            "has line programs of \(bytes) bytes, more than the \(limit) that its code and its size allow; source lines are not read"
        case .badArgument(let part):
            "is not a symbol file argument: expected FILE[@ADDRESS|+SLIDE][,FROM:TO], cannot read \"\(part)\""
        }
    }

    private func typeName(_ type: UInt16) -> String {
        switch type {
        case 1: "an object file (ET_REL)"
        case 4: "a core dump (ET_CORE)"
        default: "an ELF file of type \(type)"
        }
    }

    private func hexList(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    }
}

/// `0x…`, without leading zeros.
func hexadecimal(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

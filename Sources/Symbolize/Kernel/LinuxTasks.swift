// SPDX-License-Identifier: GPL-2.0-or-later

import CElfutils
import Glibc

/// Where a Linux kernel for x86-64 keeps the task that runs on the first processor, from the kernel's symbols and DWARF.
///
///     if let tasks = try LinuxTasks.find(in: "vmlinux") { print(tasks.currentTask, tasks.name) }
///
/// Linux 6.1 and earlier have the pointer in the per-CPU variable `current_task`, 6.2 and later in `pcpu_hot`
/// (arch/x86/include/asm/current.h).
public struct LinuxTasks: Sendable, Hashable {
    /// The kernel's address of the array with the offset of each processor's variables, as linked.
    public var perCPUOffsets: UInt64
    /// The address of the pointer to the running task among a processor's variables, as linked.
    public var currentTask: UInt64
    /// Offsets in `struct task_struct`: `comm`, `pid`, `tgid`, `mm`.
    public var (name, process, group, memory): (UInt64, UInt64, UInt64, UInt64)
    /// Bytes of `comm`.
    public var nameSize: Int
    /// The way to the name of the program's file; nil if the DWARF lacks it.
    public var program: Program?

    /// Offsets from `struct mm_struct` to the name of the program's file.
    public struct Program: Sendable, Hashable {
        /// `mm_struct.exe_file`.
        public var file: UInt64
        /// `file.f_path.dentry`.
        public var entry: UInt64
        /// `dentry.d_name.name`, `dentry.d_name.len` and `dentry.d_parent`.
        public var (name, length, parent): (UInt64, UInt64, UInt64)
    }

    /// Reads a kernel's file.
    ///
    /// - Returns: nil if it is no Linux kernel, or if its DWARF lacks `struct task_struct`.
    /// - Throws: ``SymbolError`` if the file cannot be read or has no DWARF.
    public static func find(in path: String) throws(SymbolError) -> LinuxTasks? {
        let image = try ELFImage(path: path, machine: .x86_64)
        let variables = image.variables(named: ["__per_cpu_offset", "current_task", "pcpu_hot"])
        guard let offsets = variables["__per_cpu_offset"] else { return nil }
        guard let variable = variables["current_task"] ?? variables["pcpu_hot"] else { return nil }
        let wanted: Set = ["task_struct", "mm_struct", "file", "dentry", "pcpu_hot"]
        let found = try StructLayout.find(
            variables["current_task"] == nil ? wanted : wanted.subtracting(["pcpu_hot"]), in: image)
        func offset(_ structure: String, _ member: String) -> StructLayout.Member? {
            found[structure]?.members.first { $0.name == member }
        }
        let hot = variables["current_task"] == nil ? offset("pcpu_hot", "current_task")?.offset : 0
        guard let hot, let name = offset("task_struct", "comm"), let process = offset("task_struct", "pid"),
            let group = offset("task_struct", "tgid"), let memory = offset("task_struct", "mm")
        else { return nil }
        var tasks = LinuxTasks(
            perCPUOffsets: offsets, currentTask: variable &+ hot, name: name.offset, process: process.offset,
            group: group.offset, memory: memory.offset, nameSize: Int(min(name.size, 64)))
        if let file = offset("mm_struct", "exe_file"), let entry = offset("file", "f_path.dentry"),
            let text = offset("dentry", "d_name.name"), let length = offset("dentry", "d_name.len"),
            let parent = offset("dentry", "d_parent")
        {
            tasks.program = Program(
                file: file.offset, entry: entry.offset, name: text.offset, length: length.offset,
                parent: parent.offset)
        }
        return tasks
    }
}

extension ELFImage {
    /// The addresses of variables that the symbol table names.
    func variables(named names: Set<String>) -> [String: UInt64] {
        var found: [String: UInt64] = [:]
        let size = gelf_fsize(handle, ELF_T_SYM, 1, UInt32(EV_CURRENT))
        guard size > 0 else { return found }
        ELFImage.forEachSection(handle) { section in
            guard section.header.sh_type == UInt32(SHT_SYMTAB), let data = elf_getdata(section.handle, nil) else {
                return
            }
            for index in 0..<min(data.pointee.d_size / size, Int(Int32.max)) {
                var entry = GElf_Sym()
                guard gelf_getsym(data, Int32(index), &entry) != nil, Int32(entry.st_info & 0xf) == STT_OBJECT,
                    entry.st_shndx != UInt16(SHN_UNDEF),
                    let text = elf_strptr(handle, Int(section.header.sh_link), Int(entry.st_name))
                else { continue }
                guard names.contains(where: { $0.withCString { strcmp($0, text) == 0 } }) else { continue }
                found[String(cString: text)] = entry.st_value
            }
        }
        return found
    }
}

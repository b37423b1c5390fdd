// SPDX-License-Identifier: GPL-2.0-or-later

/// Addresses of variables and layouts of structures of a kernel, from its file.
///
///     let layout = try KernelLayout.find(in: "vmlinux", variables: ["init_task"], structures: ["task_struct"])
///     print(layout.variables["init_task"], layout.offset("task_struct", "tasks.next"))
public struct KernelLayout: Sendable {
    /// Addresses as linked; variables that the symbol table lacks are missing.
    public var variables: [String: UInt64]
    /// Structures that the DWARF defines.
    public var structures: [String: StructLayout]

    /// Reads a kernel's file.
    ///
    /// - Throws: ``SymbolError`` if the file cannot be read or has no DWARF.
    public static func find(
        in path: String, variables: Set<String>, structures: Set<String>
    ) throws(SymbolError) -> KernelLayout {
        let image = try ELFImage(path: path, machine: .x86_64)
        return KernelLayout(
            variables: image.variables(named: variables), structures: try StructLayout.find(structures, in: image))
    }

    /// The offset of a member; nil if the structure or the member is missing.
    public func offset(_ structure: String, _ member: String) -> UInt64? {
        structures[structure]?.members.first { $0.name == member }?.offset
    }
}

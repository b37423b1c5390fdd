// SPDX-License-Identifier: GPL-2.0-or-later

import CLzma
import Glibc

/// The symbols that a stripped program may keep in `.gnu_debugdata`: an ELF file with a symbol table, compressed by xz
/// (Fedora's MiniDebugInfo; gdb's manual, "MiniDebugInfo").
enum MiniDebugInfo {
    /// The most bytes that the file may have after inflation. Real ones have 100 kB.
    static let sizeLimit = 64 << 20
    /// The most memory that the decoder may use for itself.
    private static let memoryLimit: UInt64 = 96 << 20

    /// The file inside of a program; `nil` if there is none.
    ///
    /// - Throws: An error of kind `damagedMiniDebugInfo`.
    static func find(in program: ELFImage) throws(SymbolError) -> ELFImage? {
        let packed = program.rawSection(".gnu_debugdata")
        guard packed.count > 0 else { return nil }
        guard let content = unpack(packed) else {
            throw SymbolError(file: program.path, kind: .damagedMiniDebugInfo("it does not inflate"))
        }
        let file = try program.original.copy(size: content.count) { area in
            content.withUnsafeBytes { area.copyMemory(from: $0) }
        }
        do throws(SymbolError) {
            return try ELFImage(miniDebugInfo: file, machine: program.machine)
        } catch {
            throw SymbolError(file: program.path, kind: .damagedMiniDebugInfo("its content \(error.explanation)"))
        }
    }

    /// `nil` if the bytes are damaged, or are too many after inflation.
    private static func unpack(_ packed: Bytes) -> [UInt8]? {
        var stream = lzma_stream()
        guard lzma_stream_decoder(&stream, memoryLimit, 0) == LZMA_OK else { return nil }
        defer { lzma_end(&stream) }
        stream.next_in = packed.start.assumingMemoryBound(to: UInt8.self)
        stream.avail_in = packed.count
        var content: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while content.count <= sizeLimit {
            let (code, count) = piece.withUnsafeMutableBufferPointer { buffer in
                stream.next_out = buffer.baseAddress
                stream.avail_out = buffer.count
                let code = lzma_code(&stream, LZMA_FINISH)
                return (code, buffer.count - stream.avail_out)
            }
            content += piece[..<count]
            if code == LZMA_STREAM_END { return content }
            guard code == LZMA_OK, count > 0 || stream.avail_in > 0 else { return nil }
        }
        return nil
    }
}

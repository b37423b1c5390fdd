// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Glibc

/// Answers lines of addresses or places as they come, in their order.
///
/// Input that comes in large pieces is answered on all processors: each thread takes the next piece and answers it. The
/// one whose answers are the next to be written writes them, and those after them that others have ready.
public final class AddressStream: @unchecked Sendable {
    /// Pieces of so many bytes are worth another thread.
    private static let largePiece = 1 << 15

    private let symbolizer: Symbolizer
    private let formatter: AddressFormatter
    private let write: (UnsafeRawBufferPointer) -> Void

    /// Reading and its order.
    private let readLock = Lock()
    private var reader: AddressReader
    private var piecesRead = 0

    /// Writing and its order.
    private let writeLock = Lock()
    private var piecesWritten = 0
    private var isWriting = false
    /// Answers by their place in the order: those that are not to be written yet.
    private var ready: [Int: Answers] = [:]
    /// As many answers may be ready before their threads wait: somebody may read slowly.
    private static let readyLimit = 8
    /// Answers that have been written: their memory is used again.
    private var spare: [Answers] = []
    private var unknown = 0
    private var error: SymbolError?

    /// - Parameters:
    ///   - descriptor: Where to read from; stays open.
    ///   - formatter: Says how answers look.
    ///   - write: Gets the answers, a piece at a time and in order, but on any thread.
    public init(
        _ descriptor: Int32, _ symbolizer: Symbolizer, _ formatter: AddressFormatter,
        write: @escaping (UnsafeRawBufferPointer) -> Void
    ) {
        reader = AddressReader(descriptor, for: symbolizer)
        (self.symbolizer, self.formatter, self.write) = (symbolizer, formatter, write)
    }

    /// Answers everything up to the end of the input; returns how many lines were neither an address nor a known place.
    public func run() throws(SymbolError) -> Int {
        if answerPieces(while: { $0 < AddressStream.largePiece }) {
            Parallel.run(Parallel.threadCount) { _ in _ = self.answerPieces { _ in true } }
        }
        if let error { throw error }
        return unknown
    }

    /// Answers one piece after the other as long as `isWanted` says so of the size of the last one; `false` at the end of
    /// the input or when something failed.
    private func answerPieces(while isWanted: (Int) -> Bool) -> Bool {
        var formatter = formatter
        var lines: [UInt8] = []
        while let number = nextPiece(into: &lines) {
            let answers = writeLock.locked { spare.popLast() } ?? Answers()
            answers.text.removeAll()
            do throws(SymbolError) {
                let list = lines.withUnsafeBufferPointer { AddressReader.parse($0, symbolizer) }
                formatter.lookup = try symbolizer.lookup(for: list.addresses)
                formatter.append(list, to: &answers.text)
                answers.unknown = list.unknown.count
            } catch {
                answers.error = error
            }
            guard finish(number, answers) else { return false }
            guard isWanted(lines.count) else { return true }
        }
        return false
    }

    /// Reads lines; their place in the order, or `nil` at the end.
    private func nextPiece(into lines: inout [UInt8]) -> Int? {
        readLock.lock()
        defer { readLock.unlock() }
        do throws(SymbolError) {
            guard try reader.next(into: &lines) else { return nil }
            piecesRead += 1
            return piecesRead - 1
        } catch {
            // What was read before is written before it is said.
            let answers = Answers()
            answers.error = error
            piecesRead += 1
            _ = finish(piecesRead - 1, answers)
            return nil
        }
    }

    /// The answers for a piece.
    private final class Answers {
        var text = TextBuffer()
        var unknown = 0
        var error: SymbolError?
    }

    /// Writes answers if all before them are written, and those after them that are ready, else leaves them for the
    /// thread that does; `false` when something has failed.
    private func finish(_ number: Int, _ answers: Answers) -> Bool {
        writeLock.lock()
        defer { writeLock.unlock() }
        ready[number] = answers
        guard !isWriting, number == piecesWritten else {
            while ready.count > AddressStream.readyLimit { writeLock.wait() }
            return error == nil
        }
        isWriting = true
        while let next = ready.removeValue(forKey: piecesWritten) {
            if error == nil {
                writeLock.unlock()
                next.text.withBytes(write)
                writeLock.lock()
                unknown += next.unknown
                error = next.error
            }
            spare.append(next)
            piecesWritten += 1
            writeLock.signal()
        }
        isWriting = false
        return error == nil
    }
}

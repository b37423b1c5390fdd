// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Symbolize

/// What a name column says about an address.
enum NameAspect: String, CaseIterable {
    /// The function and the offset in it, with the functions inlined there: what `bts-dump --symbols` prints.
    case name
    /// The function alone.
    case function
    /// `file.c:12`, of the innermost function.
    case line

    fileprivate func text(_ place: Symbolized) -> String? {
        switch self {
        case .name: place.label.isEmpty ? nil : place.label
        case .function: place.displayedSymbol ?? place.frames.last?.displayedFunction
        case .line: place.sourcePlace
        }
    }

    /// The definition of a column.
    func definition(_ name: String, of what: String, isPlain: Bool) -> ColumnDefinition {
        let summary =
            switch self {
            case .name: "function and offset of \(what); null where no symbol file knows it"
            case .function: "function of \(what)"
            case .line: "source file and line of \(what)"
            }
        return .init(name, isPlain ? .text : .longName, summary)
    }
}

/// The texts of addresses, each made once: a run has far more rows than places.
///
/// A batch gets a dictionary of its own, with the texts that occur in it. Memory is bounded: a full table is emptied
/// between two batches.
struct NameTable {
    private struct Slot: HashSlot {
        var address: UInt64
        /// An index into `texts`; `freeText` in a free slot.
        var text: UInt32
        /// The batch that `place` is about.
        var batch: UInt32 = 0
        /// The text's index in the dictionary of that batch; negative for none.
        var place: Int32 = -1

        static let freeText = UInt32.max
        static let free = Slot(address: 0, text: freeText)
        var isFree: Bool { text == Slot.freeText }
        func holds(_ key: UInt64) -> Bool { address == key }
        func hash(_ seeds: HashSeeds) -> UInt64 { seeds.mix(address) }
        static func hash(_ key: UInt64, _ seeds: HashSeeds) -> UInt64 { seeds.mix(key) }
    }

    private let symbolizer: Symbolizer
    private let aspect: NameAspect
    private var slots: HashTable<Slot>
    /// Distinct texts; the first means none.
    private var texts = [""]
    private var numbers: [String: UInt32] = [:]
    private var textSize = 0
    /// The text's place in the dictionary of the batch whose number is beside it.
    private var places: [(batch: UInt32, place: Int32)] = [(0, 0)]
    private var batch: UInt32 = 0

    /// Addresses that are kept between batches.
    private static let addressLimit = 1 << 20
    /// Bytes of text that are kept between batches.
    private static let textLimit = 64 << 20

    init(_ symbolizer: Symbolizer, _ aspect: NameAspect) {
        self.symbolizer = symbolizer
        self.aspect = aspect
        // A batch can have as many new addresses as a table that is nearly full has.
        slots = HashTable(limit: NameTable.addressLimit * 2, expected: 1 << 13)
    }

    /// The texts for a column of addresses.
    mutating func column(_ addresses: ArrowColumn, isPlain: Bool) -> ArrowColumn {
        if slots.count >= NameTable.addressLimit || textSize >= NameTable.textLimit { removeAll() }
        guard let words = addresses.buffers[1]?.assumingMemoryBound(to: UInt64.self) else {
            return addresses
        }
        let validity =
            addresses.nullCount == 0 ? nil : addresses.buffers[0]?.assumingMemoryBound(to: UInt8.self)
        if isPlain { return plainColumn(words, addresses.length, validity) }
        return makeIndexes(words, addresses.length, validity)
    }

    private mutating func makeIndexes(
        _ words: UnsafePointer<UInt64>, _ count: Int, _ validity: UnsafePointer<UInt8>?
    ) -> ArrowColumn {
        batch &+= 1
        var memory = ColumnMemory.Layout()
        let (bitsPlace, indexesPlace) = (memory.reserve((count + 7) / 8), memory.reserve(4 * count))
        let owner = ColumnMemory(memory)
        let bits = owner.words(bitsPlace, as: UInt8.self)
        let indexes = owner.words(indexesPlace, as: Int32.self)
        var (names, nameCount) = (ColumnBuilder(.text), Int32(0))
        var nullCount = 0
        var (last, lastIndex): (UInt64, Int32) = (0, -1)
        var isFirst = true
        var probe = slots.probe
        for row in 0..<count {
            if let validity, validity[row >> 3] >> UInt8(row & 7) & 1 == 0 {
                nullCount += 1
                continue
            }
            let address = words[row]
            if isFirst || address != last {
                isFirst = false
                last = address
                var found = probe.find(address)
                if found == nil {
                    _ = makeText(of: address)
                    probe = slots.probe
                    found = probe.find(address)
                }
                if let slot = found {
                    if slot.pointee.batch != batch {
                        slot.pointee.batch = batch
                        slot.pointee.place = index(of: slot.pointee.text, in: &names, &nameCount)
                    }
                    lastIndex = slot.pointee.place
                } else {
                    lastIndex = -1
                }
            }
            if lastIndex < 0 {
                nullCount += 1
            } else {
                indexes[row] = lastIndex
                bits[row >> 3] |= 1 << UInt8(row & 7)
            }
        }
        return ArrowColumn(
            length: count, nullCount: nullCount,
            buffers: [nullCount > 0 ? owner.pointer(bitsPlace) : nil, owner.pointer(indexesPlace)],
            owner: owner,
            dictionary: DictionaryColumn(names.finish()))
    }

    private mutating func plainColumn(
        _ words: UnsafePointer<UInt64>, _ count: Int, _ validity: UnsafePointer<UInt8>?
    ) -> ArrowColumn {
        var builder = ColumnBuilder(.text)
        for row in 0..<count {
            let isKnown = validity.map { $0[row >> 3] >> UInt8(row & 7) & 1 == 1 } ?? true
            let text = isKnown ? Int(text(of: words[row])) : 0
            if text == 0 { builder.appendNull() } else { builder.append(texts[text]) }
        }
        return builder.finish()
    }

    /// The place of a text in the batch's dictionary; -1 for none.
    @inline(__always)
    private mutating func index(of text: UInt32, in names: inout ColumnBuilder, _ count: inout Int32)
        -> Int32
    {
        if text == 0 { return -1 }
        let known = places[Int(text)]
        if known.batch == batch { return known.place }
        defer { count += 1 }
        names.append(texts[Int(text)])
        places[Int(text)] = (batch, count)
        return count
    }

    @inline(__always)
    private mutating func text(of address: UInt64) -> UInt32 {
        slots.find(address)?.pointee.text ?? makeText(of: address)
    }

    @inline(never)
    private mutating func makeText(of address: UInt64) -> UInt32 {
        var number: UInt32 = 0
        if let text = symbolizer.symbolize(address).flatMap({ aspect.text($0.shortened) }) {
            number = numbers[text] ?? UInt32(texts.count)
            if Int(number) == texts.count {
                numbers[text] = number
                texts.append(text)
                places.append((0, 0))
                textSize += text.utf8.count
            }
        }
        slots.insert(Slot(address: address, text: number))
        return number
    }

    private mutating func removeAll() {
        slots.removeAll()
        numbers = [:]
        texts = [""]
        places = [(0, 0)]
        textSize = 0
    }
}

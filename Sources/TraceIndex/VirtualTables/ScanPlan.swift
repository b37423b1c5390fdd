// SPDX-License-Identifier: GPL-2.0-or-later

import CSQLite

/// How SQLite and a virtual table agree on what is read: the constraints that the table takes, in the order of its
/// arguments, as text of two characters each: a column and an operator.
///
/// SQLite tests every row again (but for the log's key), so a constraint that the table cannot use, such as one on a
/// value of another type, costs time and never rows.
enum ScanPlan {
    /// Numbers of columns that take part.
    struct Columns {
        var clock: Int32
        /// Columns on which ranges help.
        var ranges: Set<Int32>
        /// Columns on which equality helps.
        var equalities: Set<Int32>
        /// The hidden column with the log's key.
        var log: Int32
    }

    /// Set in a plan's number: rows come with the highest clock first.
    static let isDescending: Int32 = 1

    /// The place in a plan's number of the bits of the columns that the query reads.
    static let usedColumnsShift: Int32 = 8

    /// Answers xBestIndex.
    ///
    /// - Parameters:
    ///   - rowCount: rows without a constraint.
    ///   - isOrdered: whether rows come in the order of clocks.
    static func choose(
        _ info: UnsafeMutablePointer<sqlite3_index_info>, _ columns: Columns, rowCount: Int, isOrdered: Bool
    ) -> Int32 {
        var text: [UInt8] = []
        var argument: Int32 = 1
        var rows = Double(max(rowCount, 1))
        var hasUnusableLog = false
        var hasLog = false
        for index in 0..<Int(info.pointee.nConstraint) {
            let constraint = info.pointee.aConstraint[index]
            guard let operation = symbol(constraint.op) else { continue }
            let column = constraint.iColumn
            let isEquality = operation == UInt8(ascii: "=")
            let isUsed =
                column == columns.log
                ? isEquality
                : isEquality && columns.equalities.contains(column)
                    || columns.ranges.contains(column)
            guard isUsed else { continue }
            guard constraint.usable != 0 else {
                hasUnusableLog = hasUnusableLog || column == columns.log
                continue
            }
            info.pointee.aConstraintUsage[index].argvIndex = argument
            argument += 1
            text += [UInt8(ascii: "a") + UInt8(truncatingIfNeeded: column), operation]
            if column == columns.log {
                hasLog = true
                info.pointee.aConstraintUsage[index].omit = 1
            } else {
                rows /= isEquality ? (column == columns.clock ? rows : 50) : 8
            }
        }
        // A plan without a given log is useful only if no constraint names one.
        if hasUnusableLog, !hasLog { return SQLITE_CONSTRAINT }
        guard let copy = sqlite3_malloc(Int32(truncatingIfNeeded: text.count) + 1) else { return SQLITE_NOMEM }
        text.withUnsafeBytes { copy.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(copy), byteCount: $0.count) }
        copy.storeBytes(of: 0, toByteOffset: text.count, as: UInt8.self)
        info.pointee.idxStr = copy.assumingMemoryBound(to: CChar.self)
        info.pointee.needToFreeIdxStr = 1
        info.pointee.estimatedRows = Int64(max(rows, 1))
        // Finding a place means decoding a chunk.
        info.pointee.estimatedCost = rows + 2000
        // SQLite's last bit is for all columns from the 63rd on; the tables have fewer than 16.
        info.pointee.idxNum = Int32(truncatingIfNeeded: info.pointee.colUsed & 0xffff) << usedColumnsShift
        if isOrdered, info.pointee.nOrderBy == 1, info.pointee.aOrderBy[0].iColumn == columns.clock {
            info.pointee.orderByConsumed = 1
            if info.pointee.aOrderBy[0].desc != 0 { info.pointee.idxNum |= isDescending }
        }
        return SQLITE_OK
    }

    private static func symbol(_ operation: UInt8) -> UInt8? {
        switch Int32(operation) {
        case SQLITE_INDEX_CONSTRAINT_EQ: UInt8(ascii: "=")
        case SQLITE_INDEX_CONSTRAINT_GE: UInt8(ascii: "g")
        case SQLITE_INDEX_CONSTRAINT_GT: UInt8(ascii: "G")
        case SQLITE_INDEX_CONSTRAINT_LE: UInt8(ascii: "l")
        case SQLITE_INDEX_CONSTRAINT_LT: UInt8(ascii: "L")
        default: nil
        }
    }

    /// The ranges that a scan reads, from the plan and the values of its arguments.
    struct Bounds {
        /// The key of the log; nil: the only one.
        var log: String?
        /// The values that each column may have; columns that are not here may have any.
        private(set) var ranges: [Int32: ClosedRange<Int64>] = [:]
        private(set) var texts: [Int32: [UInt8]] = [:]
        /// No row can match.
        private(set) var isEmpty = false

        init(
            plan: UnsafePointer<CChar>?, _ count: Int32,
            _ values: UnsafeMutablePointer<OpaquePointer?>?, log logColumn: Int32
        ) {
            guard let plan, let values else { return }
            for index in 0..<Int(count) {
                let column = Int32(plan[2 * index]) - Int32(UInt8(ascii: "a"))
                let operation = UInt8(bitPattern: plan[2 * index + 1])
                guard let value = values[index] else { continue }
                switch sqlite3_value_type(value) {
                case SQLITE_NULL: isEmpty = true
                case SQLITE_INTEGER: narrow(column, operation, sqlite3_value_int64(value))
                case SQLITE_TEXT where operation == UInt8(ascii: "="):
                    let bytes = sqlite3_value_text(value)
                    let text = UnsafeBufferPointer(start: bytes, count: Int(sqlite3_value_bytes(value)))
                    if column == logColumn {
                        log = String(decoding: text, as: UTF8.self)
                    } else {
                        texts[column] = Array(text)
                    }
                default: break
                }
            }
        }

        private mutating func narrow(_ column: Int32, _ operation: UInt8, _ value: Int64) {
            let old = ranges[column] ?? Int64.min...Int64.max
            var (low, high) = (old.lowerBound, old.upperBound)
            switch operation {
            case UInt8(ascii: "="): (low, high) = (max(low, value), min(high, value))
            case UInt8(ascii: "g"): low = max(low, value)
            case UInt8(ascii: "G"):
                if value == .max { isEmpty = true } else { low = max(low, value + 1) }
            case UInt8(ascii: "l"): high = min(high, value)
            case UInt8(ascii: "L"):
                if value == .min { isEmpty = true } else { high = min(high, value - 1) }
            default: break
            }
            if low > high { isEmpty = true } else { ranges[column] = low...high }
        }

        /// The only value that a column may have; nil where there are several.
        func value(_ column: Int32) -> Int64? {
            ranges[column].flatMap { $0.lowerBound == $0.upperBound ? $0.lowerBound : nil }
        }

        /// The non-negative values of a column as unsigned numbers.
        func unsigned(_ column: Int32) -> ClosedRange<UInt64> {
            guard let range = ranges[column] else { return 0...UInt64.max }
            // A number above 2^63 is negative in SQL; a log has none.
            guard range.upperBound >= 0 else { return UInt64.max...UInt64.max }
            let high = range.upperBound == .max ? UInt64.max : UInt64(range.upperBound)
            return UInt64(max(range.lowerBound, 0))...high
        }
    }
}

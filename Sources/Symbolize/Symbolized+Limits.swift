// SPDX-License-Identifier: GPL-2.0-or-later

extension Symbolized {
    /// The largest number of frames of ``shortened``.
    private static let frameLimit = 24
    /// The largest number of characters of a text of ``shortened``.
    private static let scalarLimit = 160

    /// The same with at most 24 frames, and at most 160 characters of each name: symbol files have names of any length.
    public var shortened: Symbolized {
        var result = self
        result.module = Symbolized.cut(module)
        result.symbol = symbol.map(Symbolized.cut)
        result.demangledSymbol = demangledSymbol.map(Symbolized.cut)
        let kept = Symbolized.frameLimit
        result.frames = (frames.count <= kept ? frames : frames.prefix(kept - 1) + frames.suffix(1)).map {
            var frame = $0
            frame.function = Symbolized.cut(frame.function)
            frame.demangledFunction = frame.demangledFunction.map(Symbolized.cut)
            frame.file = frame.file.map(Symbolized.cut)
            return frame
        }
        return result
    }

    /// A name, at most 160 characters of it.
    public static func cut(_ text: String) -> String {
        text.unicodeScalars.count <= scalarLimit
            ? text : String(String.UnicodeScalarView(text.unicodeScalars.prefix(scalarLimit - 1))) + "…"
    }
}

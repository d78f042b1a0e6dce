-- Moves a claimed element to the dead letters: watchword.EventQueue.Bury.
--
-- KEYS: the stream, the sorted set of what is due later, the list of dead letters.
-- ARGV: the id of the entry in the stream; the element; the lifetime of the dead letters in ms, or 0.
-- Reply: w
buryElement(KEYS[3], 'm ' .. ARGV[2], ARGV[3])
finish(KEYS[1], ARGV[1])
return 'w'

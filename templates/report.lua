-- What pandoc leaves undone when it reads our LaTeX: numbers of equations, tables and figures,
-- theorems and proofs as blocks of their own, operators and norms in Typst.  Serves HTML and Typst.
local typst, html = FORMAT:match("typst") ~= nil, FORMAT:match("html") ~= nil
local numbers, nouns = {}, { theorem=1, lemma=1, proposition=1, corollary=1, definition=1, remark=1 }
local counts = { eq = 0, Table = 0, Figure = 0 }
local WHOLE = 5  -- displays of at most so many lines are not cut by the end of a page

local function label_of(math) return math.text:match("^\\begin{equation}%s*\\label{([^}]*)}") end

local function bare(text)  -- the formula inside a numbered equation
  return text:gsub("^\\begin{equation}%s*", ""):gsub("\\label{[^}]*}%s*", ""):gsub("%s*\\end{equation}$", "")
end

local function to_typst(math, kind)
  local block = pandoc.Plain { pandoc.Math(kind, (bare(math.text))) }
  local text = pandoc.write(pandoc.Pandoc { block }, "typst"):gsub("%s+$", "")
  text = text:gsub("∥", "‖")
  text = text:gsub('upright%("', "\1"):gsub('([%s%(%$%^_])"([%a]+)"', '%1op("%2")'):gsub("\1", 'upright("')
  return (text:gsub("quad ([%+%-])", 'quad "" %1'))  -- a sign that opens a line is still a binary one
end

local function quoted(text)  -- a string of Typst
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

-- first pass: count what the LaTeX counts
local function count(math)
  local label = math.mathtype == "DisplayMath" and label_of(math)
  if label then
    counts.eq = counts.eq + 1
    numbers[label] = "(" .. counts.eq .. ")"
  end
end

local function equation(math)
  local display = math.mathtype == "DisplayMath"
  local label = display and label_of(math)
  if typst then
    local alt = quoted(bare(math.text):gsub("%s+", " "))
    local set = string.format("alt: %s", alt)
    if label then set = set .. string.format(", numbering: _ => [%s]", numbers[label]) end
    local mark = label and string.format(" <%s>", label) or ""
    local _, breaks = math.text:gsub("\\\\\n", "")
    local whole = display and breaks < WHOLE and " #show math.equation: set block(breakable: false);" or ""
    return pandoc.RawInline("typst", string.format("#[#set math.equation(%s);%s%s%s]", set, whole, to_typst(math, math.mathtype), mark))
  end
  if not label then return display and html and pandoc.Span({ math }, { class = "display" }) or nil end
  return pandoc.Span({ pandoc.Math("DisplayMath", (bare(math.text))), pandoc.Span(numbers[label], { class = "number" }) },
    { id = label, class = "equation" })
end

local function link(el)
  if el.attributes["reference-type"] == nil then return nil end
  local label = el.attributes["reference"]
  local text = pandoc.utils.stringify(el.content)
  if numbers[label] then text = numbers[label] end
  if typst then return pandoc.RawInline("typst", string.format("#link(<%s>)[%s]", label, (text:gsub("[()]", "\\%0")))) end
  return pandoc.Link(text, "#" .. label)
end

local function caption(blocks, noun)
  if not html or #blocks == 0 then return nil end
  counts[noun] = counts[noun] + 1
  local first = blocks[1]
  first.content:insert(1, pandoc.Space())
  first.content:insert(1, pandoc.Span(noun .. " " .. counts[noun] .. ".", { class = "head" }))
  return true
end

local function picture(el)
  local alt = pandoc.utils.stringify(el.caption):gsub("{([%[%]*])}", "%1")  -- pandoc keeps it as LaTeX has it
  alt = alt:gsub("\\textasciicircum{}", "^"):gsub("\\textasciitilde{}", "~"):gsub("\\([&%%#$_{}])", "%1")
  local source = el.src:gsub("%.pdf$", ".svg")  -- Typst embeds no PDF in an accessible one
  if typst then
    local width = el.attributes.width or "100%"
    return pandoc.RawInline("typst", string.format('#image("%s", width: %s, alt: %s)', source, width, quoted(alt)))
  end
  if html then
    el.src, el.caption = source, { pandoc.Str(alt) }
    el.attributes.width = nil
  end
  return el
end

local function put_qed(blocks, box)  -- pandoc ends a proof with a no-break space and a box: set our own
  local last = blocks[#blocks]
  local tail = last and last.content and last.content[#last.content]
  if tail and tail.t == "Str" and tail.text:match("◻$") then
    tail.text = tail.text:gsub("◻$", ""):gsub("\u{a0}", "")
    last.content:insert(box)
  else
    blocks:insert(pandoc.Para(box))
  end
end

local function div(el)
  local class = el.classes[1]
  if class == "proof" then
    local box = typst and pandoc.RawInline("typst", "#qed") or pandoc.Span("◻", { class = "qed" })
    put_qed(el.content, box)
    if typst then
      el.content:insert(1, pandoc.RawBlock("typst", "#statement["))
      el.content:insert(pandoc.RawBlock("typst", "]"))
      return el.content
    end
    return el
  elseif nouns[class] and typst then
    el.content:insert(1, pandoc.RawBlock("typst", "#statement["))
    el.content:insert(pandoc.RawBlock("typst", el.identifier ~= "" and ("] <" .. el.identifier .. ">") or "]"))
    return el.content
  elseif typst and el.identifier ~= "" and el.content[1] and el.content[1].t == "Table" then
    el.content[1].identifier = el.identifier  -- a table inside a block would not float
    return el.content
  end
end

return {
  { traverse = "topdown", Math = count },
  { Math = equation, Link = link, Image = picture,
    Figure = function(el) if caption(el.caption.long, "Figure") then return el end end,
    Table = function(el)
      caption(el.caption.long, "Table")
      return html and pandoc.Div({ el }, { class = "table" }) or nil
    end },
  { Div = div },
}

-- Sends whole requests as they are, at random: the file that REQUESTS names has one a line, as a quoted string.
local requests = {}

function init()
	for line in io.lines(os.getenv('REQUESTS')) do
		requests[#requests + 1] = loadstring('return ' .. line)()
	end
	math.randomseed(os.time())
end

function request()
	return requests[math.random(#requests)]
end

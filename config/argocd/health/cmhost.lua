-- Health of a CMHost for Argo CD: what only a person can put right is Degraded, what is tried again is Progressing.
local conditions = {}
local status = obj.status or {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is(type)
  return conditions[type] ~= nil and conditions[type].status == "True"
end

local function health(status, condition)
  return {status = status, message = condition.reason .. ": " .. (condition.message or "")}
end

local ready = conditions["Ready"]
if ready == nil or status.observedGeneration ~= obj.metadata.generation or ready.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "The operator has not seen this generation yet"}
end
if is("Stalled") then
  return health("Degraded", conditions["Stalled"])
end
if is("Ready") then
  return health("Healthy", ready)
end
return health("Progressing", ready)

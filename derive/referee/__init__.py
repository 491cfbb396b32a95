"""The referee: is a formula of a paper, a colleague or a language model the limit of a recursion?"""
